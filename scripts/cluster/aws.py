"""What the parts are told of AWS, or of a store that speaks S3: addresses, login, secrets."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from include.errors import SettingsError
from scripts.cluster.settings import AWS_ITSELF, ClusterSettings
from scripts.stack.airflow_options import Sections

_BACKENDS = {
    "secrets-manager": "secrets_manager.SecretsManagerBackend",
    "parameter-store": "systems_manager.SystemsManagerParameterStoreBackend",
}
"""Classes of the amazon provider, below `airflow.providers.amazon.aws.secrets`."""


def addresses(settings: ClusterSettings) -> dict[str, str]:
    """Return the variables that say where the store is; every part is given them."""
    found = {"AWS_REGION": settings.aws_region, "AWS_DEFAULT_REGION": settings.aws_region}
    if settings.aws_endpoint_url != AWS_ITSELF:
        found["AWS_ENDPOINT_URL"] = settings.aws_endpoint_url
        found["AWS_ALLOW_HTTP"] = str(settings.aws_endpoint_url.startswith("http://")).lower()
    return found


def keys(settings: ClusterSettings) -> dict[str, str]:
    """Return the key pair of cluster.env; {} where the machine's own role logs in."""
    if settings.aws_access_key_id is None and settings.aws_connection is not None:
        return {}
    return {
        "AWS_ACCESS_KEY_ID": settings.secret("aws_access_key_id"),
        "AWS_SECRET_ACCESS_KEY": settings.secret("aws_secret_access_key"),
    }


def s3_client(settings: ClusterSettings) -> Any:
    """Return boto3's client of the object store, with the login that `keys` gives."""
    import boto3

    login = keys(settings)
    return boto3.client(
        "s3",
        endpoint_url=addresses(settings).get("AWS_ENDPOINT_URL"),
        region_name=settings.aws_region,
        aws_access_key_id=login.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=login.get("AWS_SECRET_ACCESS_KEY"),
    )


def connection(settings: ClusterSettings) -> str:
    """Return Airflow's connection `aws_default`, as Airflow reads it from the environment."""
    if settings.aws_connection is not None:
        return settings.secret("aws_connection")
    login = keys(settings)
    return json.dumps(
        {
            "conn_type": "aws",
            "login": login["AWS_ACCESS_KEY_ID"],
            "password": login["AWS_SECRET_ACCESS_KEY"],
            "extra": _region_and_endpoint(settings),
        }
    )


def secrets_backend(settings: ClusterSettings) -> Sections:
    """Return Airflow's options for secrets that are kept at AWS; {} where none are.

    They are for the parts that know Airflow's database. A worker asks Airflow's API, which looks
    them up for it: workers need no right to read secrets, and no client of their own.

    Raises
    ------
    SettingsError
        No pattern says which names are looked up there: each name that is not there would cost a
        request.
    """
    if not settings.secrets_backend:
        return {}
    patterns = {
        "connections": settings.secrets_connections,
        "variables": settings.secrets_variables,
    }
    if not any(patterns.values()):
        raise SettingsError(
            f"FLYWHEEL_SECRETS_BACKEND is {settings.secrets_backend}, and nothing says what is "
            "kept there. Set FLYWHEEL_SECRETS_CONNECTIONS, FLYWHEEL_SECRETS_VARIABLES or both to "
            "a regular expression that the names begin with, such as aws_|warehouse."
        )
    options: dict[str, str | None] = {"config_prefix": None, **_login(settings)}
    for kind, pattern in patterns.items():
        options[f"{kind}_prefix"] = f"{settings.secrets_prefix}/{kind}" if pattern else None
        options[f"{kind}_lookup_pattern"] = pattern or None
    backend = f"airflow.providers.amazon.aws.secrets.{_BACKENDS[settings.secrets_backend]}"
    return {"secrets": {"backend": backend, "backend_kwargs": json.dumps(options)}}


def _login(settings: ClusterSettings) -> dict[str, str]:
    """Return what the backend is told of its login: the connection's, or region and endpoint."""
    found = _region_and_endpoint(settings)
    if settings.aws_connection is None:
        return found  # the keys are in the environment
    uri = urlsplit(settings.secret("aws_connection"))
    login = {"aws_access_key_id": uri.username, "aws_secret_access_key": uri.password}
    found |= {name: unquote(value) for name, value in login.items() if value}
    return found | dict(parse_qsl(uri.query))


def _region_and_endpoint(settings: ClusterSettings) -> dict[str, str]:
    found = {"region_name": settings.aws_region}
    if settings.aws_endpoint_url != AWS_ITSELF:
        found["endpoint_url"] = settings.aws_endpoint_url
    return found
