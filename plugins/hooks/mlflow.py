"""The way to MLflow: an Airflow connection names the server."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk.bases.hook import BaseHook

from plugins.hooks.address import address_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from include.registry.client import Registry


class MlflowHook(BaseHook):
    """Gives the model registry at an MLflow server.

    :param mlflow_conn_id: connection of type HTTP: host (with scheme), port, and login and
        password if the server asks for them
    """

    conn_name_attr = "mlflow_conn_id"
    default_conn_name = "flywheel_mlflow"
    hook_name = "MLflow"

    def __init__(self, mlflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.mlflow_conn_id = mlflow_conn_id

    @cached_property
    def connection(self) -> Connection:
        """The Airflow connection."""
        return self.get_connection(self.mlflow_conn_id)

    @cached_property
    def tracking_uri(self) -> str:
        """The server's address."""
        return address_of(self.connection)

    @cached_property
    def registry(self) -> Registry:
        """The model registry, with the keys that sign and verify model packages."""
        from include.registry.client import Registry
        from include.settings import Settings

        settings = Settings.from_env()
        user, password = self.connection.login, self.connection.password
        return Registry(
            self.tracking_uri,
            login=(user, password or "") if user else None,
            signing_key=settings.signing_key,
            verify_key=settings.verify_key,
            cache=settings.home / "models",
        )
