"""The address that an Airflow connection names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Connection


def address_of(connection: Connection) -> str:
    """Give the URL of a connection of type HTTP.

    The scheme stands in the host (`https://mlflow.example.com`), in the schema, or, in a
    connection given as a URI, in the type: `https://...` must never become plain http. A path
    stays behind the port. The login stays out: addresses stand in messages and logs.

    :param connection: the connection; without a host it is this machine
    """
    written, _, rest = (connection.host or "127.0.0.1").rpartition("://")
    fallback = "https" if connection.conn_type == "https" else "http"
    scheme = written or connection.schema or fallback
    name, slash, path = rest.partition("/")
    port = f":{connection.port}" if connection.port else ""
    return f"{scheme}://{name}{port}{slash}{path}".rstrip("/")
