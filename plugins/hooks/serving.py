"""The way to the serving application: an Airflow connection names it."""

from __future__ import annotations

from airflow.sdk.bases.hook import BaseHook

from include.errors import ServiceUnavailable
from plugins.hooks.address import address_of


class ServingHook(BaseHook):
    """Asks the serving application what it serves.

    :param serving_conn_id: connection of type HTTP: host (with scheme) and port
    """

    conn_name_attr = "serving_conn_id"
    default_conn_name = "flywheel_serving"
    hook_name = "Flywheel serving"

    def __init__(self, serving_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.serving_conn_id = serving_conn_id

    def url(self) -> str:
        """Give the application's address."""
        return address_of(self.get_connection(self.serving_conn_id))

    def served_version(self, use_case: str) -> str | None:
        """Give the model version that answers now; None while none does."""
        try:
            return served_version_at(self.url(), use_case)
        except ServiceUnavailable as error:
            raise ServiceUnavailable(
                f"{error} The Airflow connection is {self.serving_conn_id!r}."
            ) from error


def served_version_at(url: str, use_case: str) -> str | None:
    """Give the model version that answers at an address; None while none does.

    :param url: address of the serving application
    :param use_case: name of the use case
    """
    import httpx

    address = f"{url}/{use_case}/version"
    try:
        answer = httpx.get(address, timeout=5)
    except httpx.TransportError as error:
        raise ServiceUnavailable(
            f"The serving application at {address} does not answer ({type(error).__name__}). "
            "Start it, or correct its Airflow connection."
        ) from error
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return None
    if answer.status_code != httpx.codes.OK:
        raise ServiceUnavailable(
            f"The serving application at {address} must answer with its version, got HTTP "
            f"{answer.status_code}: {answer.text[:200]}. Look at its log; a use case that was "
            "added since it started needs a restart."
        )
    version = answer.json().get("model_version")
    return None if version is None else str(version)
