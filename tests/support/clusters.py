"""A real cluster of plain processes that turns the use case `daily`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.lake.table import Lake
from scripts.cluster import aws, env_file
from scripts.cluster.cluster import Cluster
from scripts.cluster.settings import ClusterSettings
from tests.support import daily
from tests.support.stacks import House

PATIENCE_S = 900.0
"""The longest wait: fifteen parts start and work on two cores, beside other tests."""


class ClusterHouse(House):
    """One cluster with the use case `daily`; what lands goes to the object store."""

    stack: Cluster

    def __init__(self, cluster: Cluster, use_cases: Path) -> None:
        super().__init__(cluster, use_cases)
        self.landing = use_cases.parent / "staging"
        self._landed: set[Path] = set()
        self._s3 = aws.s3_client(cluster.settings)

    def look_by(self, store_url: str) -> None:
        """Land files and read tables by another address of the store.

        It passes by what makes requests fail: a test that cannot land or look tests nothing.
        """
        settings = self.stack.settings.model_copy(update={"aws_endpoint_url": store_url})
        self._s3 = aws.s3_client(settings)
        options = {**self.settings.storage_options(), "AWS_ENDPOINT_URL": store_url}
        self.lake = Lake(self.settings.lake_uri, options)

    def land(self, day: str, **how: Any) -> None:
        """Land a day in the bucket."""
        super().land(day, **how)
        bucket, _, prefix = self.settings.landing_uri.removeprefix("s3://").partition("/")
        for file in sorted(set(self.landing.rglob("*.csv")) - self._landed):
            key = f"{prefix}/{file.relative_to(self.landing).as_posix()}"
            self._s3.upload_file(str(file), bucket, key)
            self._landed.add(file)


@contextmanager
def folder_for_all_users() -> Iterator[Path]:
    """Make a folder that Postgres's user can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="flywheel-cluster-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def daily_cluster(folder: Path, **settings: str) -> Iterator[ClusterHouse]:
    """Run a cluster with the use case `daily` alone, and these settings; stop it at the end."""
    daily.write_use_case(folder / "use_cases")
    file = folder / "cluster.env"
    env_file.ensure(
        file,
        {
            **ClusterSettings.free_ports(),
            "FLYWHEEL_CLUSTER_HOME": str(folder / "home"),
            "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
            "FLYWHEEL_HOUSEKEEPING_CRON": "0 0 1 1 *",
            **settings,
        },
    )
    before = dict(os.environ)
    cluster = Cluster(file)
    try:
        cluster.up(PATIENCE_S)
        house = ClusterHouse(cluster, folder / "use_cases")
        house.until(
            lambda: house.get("/dags", limit=100)["total_entries"] >= 12,
            "the Dags are parsed",
            PATIENCE_S,
        )
        yield house
    finally:
        cluster.down()
        os.environ.clear()
        os.environ.update(before)
