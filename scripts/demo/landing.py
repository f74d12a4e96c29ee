"""Where the demo lands its files: a folder, or a bucket by way of a folder."""

from __future__ import annotations

from pathlib import Path

from include.errors import ServiceUnavailable
from include.lake.errors import is_remote
from include.lake.s3 import s3_client
from include.settings import Settings
from scripts.land_flights import land_outcomes, land_rows


class DemoLanding:
    """Lands months; what has landed already is left.

    Parameters
    ----------
    settings
        Name the landing; for a bucket, files are made below their home first.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remote = is_remote(settings.landing_uri)
        self.folder = settings.home / "landing" if self._remote else Path(settings.landing_uri)

    def land(self, month: str, outcomes_of: str | None) -> None:
        """Land the rows of a month, and the outcomes of another."""
        if not (self.folder / "flights" / month).exists():
            land_rows(self.folder, month)
        if outcomes_of and not (self.folder / "flight_outcomes" / outcomes_of).exists():
            land_outcomes(self.folder, outcomes_of)
        if self._remote:
            self._upload()

    def _upload(self) -> None:
        """Copy to the bucket what it lacks."""
        from botocore.exceptions import BotoCoreError, ClientError

        uri = self._settings.landing_uri
        bucket, _, prefix = uri.removeprefix("s3://").rstrip("/").partition("/")
        try:
            client = s3_client(self._settings.storage_options())
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            there = {item["Key"] for page in pages for item in page.get("Contents", [])}
            for file in sorted(self.folder.rglob("*.csv")):
                key = "/".join(filter(None, (prefix, file.relative_to(self.folder).as_posix())))
                if key not in there:
                    client.upload_file(str(file), bucket, key)
        except (BotoCoreError, ClientError) as error:
            raise ServiceUnavailable(
                f"{uri}: files could not be landed ({error}). Look at `make cluster-status`."
            ) from error
