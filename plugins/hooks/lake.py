"""The way to the lake and to the landing area."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk.bases.hook import BaseHook

if TYPE_CHECKING:
    from include.ingest_label.landing import Landing
    from include.lake.table import Lake
    from include.settings import Settings, StorageOptions


class LakeHook(BaseHook):
    """Gives the lake and the landing area that the settings name: folders, or S3.

    Where one is in a bucket, the connection of type AWS says how to log in: a key, a role to
    assume, a profile or a web identity, and region and endpoint. A login that expires is renewed
    before it does, so a task may take longer than its role's session. `aws_default` is asked only
    where the environment has no login (`AWS_ACCESS_KEY_ID`), and what the environment says of
    region and endpoint takes precedence; any other connection is asked always, and takes precedence
    itself.

    :param lake_conn_id: connection of the lake; by default `FLYWHEEL_LAKE_AWS_CONN_ID`, or
        `aws_default`
    :param landing_conn_id: connection of the landing area; by default
        `FLYWHEEL_LANDING_AWS_CONN_ID`, or `aws_default`
    """

    conn_name_attr = "lake_conn_id"
    default_conn_name = "aws_default"
    hook_name = "Flywheel lake"

    def __init__(self, lake_conn_id: str | None = None, landing_conn_id: str | None = None) -> None:
        super().__init__()
        self._lake_conn_id = lake_conn_id
        self._landing_conn_id = landing_conn_id

    @cached_property
    def settings(self) -> Settings:
        """Where things are."""
        from include.settings import Settings

        return Settings.from_env()

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        from include.lake.table import Lake

        conn_id = self._lake_conn_id or self.settings.lake_aws_conn_id
        return Lake(self.settings.lake_uri, self._options(self.settings.lake_uri, conn_id))

    @cached_property
    def landing(self) -> Landing:
        """The landing area."""
        from include.ingest_label.landing import Landing

        conn_id = self._landing_conn_id or self.settings.landing_aws_conn_id
        return Landing(self.settings.landing_uri, self._options(self.settings.landing_uri, conn_id))

    def _options(self, uri: str, conn_id: str) -> StorageOptions:
        from include.lake.errors import is_remote

        if not is_remote(uri):
            return {}
        options = self.settings.storage_options()
        by_default = conn_id == self.default_conn_name
        if by_default and "AWS_ACCESS_KEY_ID" in options:
            return options
        login = _login(conn_id)
        if login is None:  # the store's own client may find a login where boto3 does not
            return options
        if by_default:
            return lambda: login() | options
        ours = {name: value for name, value in options.items() if not name.startswith("AWS_")}
        return lambda: ours | login()


def _login(conn_id: str) -> Callable[[], dict[str, str]] | None:
    """Ask the provider, which knows roles, profiles and web identities; None when it has none.

    What is returned gives the login as it is now. The AWS library renews one that expires when it
    is asked within the last 10 to 15 minutes.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from airflow.sdk.log import mask_secret

    hook = AwsGenericHook[object](aws_conn_id=conn_id, client_type="s3")
    credentials = hook.get_session().get_credentials()
    if credentials is None:
        return None
    region, endpoint = hook.region_name, hook.conn_config.get_service_endpoint_url("s3")
    place = {
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true" if (endpoint or "").startswith("http://") else None,
    }

    masked: set[str] = set()

    def login() -> dict[str, str]:
        # All three at once: a renewal between them would mix two logins.
        held = credentials.get_frozen_credentials()
        for secret in {held.secret_key, held.token} - masked - {None}:
            mask_secret(secret)  # a message to the task's supervisor, which writes the log
            masked.add(secret)
        found = {
            **place,
            "AWS_ACCESS_KEY_ID": held.access_key,
            "AWS_SECRET_ACCESS_KEY": held.secret_key,
            "AWS_SESSION_TOKEN": held.token,
        }
        return {name: value for name, value in found.items() if value}

    return login
