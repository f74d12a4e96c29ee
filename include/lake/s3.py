"""The client of an object store that speaks S3, made of the options that Delta takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def s3_client(options: Mapping[str, str], **config: Any) -> Any:
    """Return boto3's client.

    Parameters
    ----------
    options : mapping of str to str
        `Settings.storage_options()`: login, endpoint and region; without a login boto3 looks for
        one itself.
    **config : Any
        More of botocore's `Config`, such as `retries`.
    """
    import boto3  # type: ignore[import-untyped]  # a third of a second that folders need not pay
    from botocore.config import Config  # type: ignore[import-untyped]

    given = {name.upper(): value for name, value in options.items()}
    endpoint = given.get("AWS_ENDPOINT_URL")
    usual = {
        "connect_timeout": 5,
        "read_timeout": 30,
        "retries": {"max_attempts": 3, "mode": "standard"},
        # An endpoint of one's own seldom has a host name for each bucket.
        "s3": {"addressing_style": "path" if endpoint else "auto"},
    }
    return boto3.client(
        "s3",
        aws_access_key_id=given.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=given.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=given.get("AWS_SESSION_TOKEN"),
        region_name=given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION"),
        endpoint_url=endpoint,
        config=Config(**{**usual, **config}),
    )
