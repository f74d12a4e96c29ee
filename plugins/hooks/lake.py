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
    """Gives the lake and the landing area that the settings name: folders, or S3."""

    @cached_property
    def settings(self) -> Settings:
        """Where things are."""
        from include.settings import Settings

        return Settings.from_env()

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        from include.lake.table import Lake

        return Lake(self.settings.lake_uri, self.settings.storage_options())

    @cached_property
    def landing(self) -> Landing:
        """The landing area."""
        from include.ingest_label.landing import Landing

        return Landing(self.settings.landing_uri, self.settings.storage_options())
