"""The way to the lake and to the landing area."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk.bases.hook import BaseHook

if TYPE_CHECKING:
    from include.ingest_label.landing import Landing
    from include.lake.table import Lake
    from include.settings import Settings


class LakeHook(BaseHook):
    """Gives the lake and the landing area that the settings name: folders, or S3.

    :param aws_conn_id: connection of type AWS. It is asked where the lake or the landing area is a
        bucket and the environment has no login (`AWS_ACCESS_KEY_ID`). It may name a key, a role to
        assume, a profile or a web identity, and region and endpoint; what the environment says of
        these takes precedence.
    """

    conn_name_attr = "aws_conn_id"
    default_conn_name = "aws_default"
    hook_name = "Flywheel lake"

    def __init__(self, aws_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.aws_conn_id = aws_conn_id

    @cached_property
    def settings(self) -> Settings:
        """Where things are."""
        from include.settings import Settings

        return Settings.from_env()

    @cached_property
    def storage_options(self) -> dict[str, str]:
        """Options for S3; empty when lake and landing are folders.

        The login of a role is valid for an hour by default: who holds the hook longer makes a new
        one when the store refuses.
        """
        options = self.settings.storage_options()
        if not options or "AWS_ACCESS_KEY_ID" in options:
            return options
        return self._login() | options

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        from include.lake.table import Lake

        return Lake(self.settings.lake_uri, self.storage_options)

    @cached_property
    def landing(self) -> Landing:
        """The landing area."""
        from include.ingest_label.landing import Landing

        return Landing(self.settings.landing_uri, self.storage_options)

    def _login(self) -> dict[str, str]:
        """Ask the provider, which knows roles, profiles and web identities; {} when it has none."""
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        hook = AwsGenericHook[object](aws_conn_id=self.aws_conn_id, client_type="s3")
        if hook.get_session().get_credentials() is None:
            # The store's own client may find a login where boto3 does not.
            return {}
        login = hook.get_credentials()  # it also hides them in the task's log
        endpoint = hook.conn_config.get_service_endpoint_url("s3")
        found = {
            "AWS_ACCESS_KEY_ID": login.access_key,
            "AWS_SECRET_ACCESS_KEY": login.secret_key,
            "AWS_SESSION_TOKEN": login.token,
            "AWS_REGION": hook.region_name,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true" if (endpoint or "").startswith("http://") else None,
        }
        return {name: value for name, value in found.items() if value}
