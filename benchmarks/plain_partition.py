"""One partition through the wheel's own functions, without Airflow: what the wheel is held against.

    FLYWHEEL_HOME=<copy of a home> python -m benchmarks.plain_partition flight_delays 2013-04

Imports stand inside the function on purpose: they are part of what a fresh process pays. When they
are done is printed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path


def main(use_case_name: str, partition: str) -> None:
    """Take one landed partition from its files to its drift report."""
    from include.batch_predict.predict import predict_partition
    from include.drift_monitor.monitor import monitor_partition
    from include.feature.build import build_partition
    from include.ingest_label.ingest import ingest_references, ingest_rows
    from include.ingest_label.landing import Landing
    from include.lake.table import Lake, Writer
    from include.provenance import code_version
    from include.registry.client import Registry
    from include.settings import Settings
    from include.use_cases.loader import get
    from include.validate_clean.validate import validate_and_clean

    print(time.time())  # from here on it is work
    settings, use_case = Settings.from_env(), get(use_case_name)
    landing, lake = Landing(settings.landing_uri), Lake(settings.lake_uri)
    registry = Registry(
        settings.tracking_uri, verify_key=settings.verify_key, cache=settings.home / "models"
    )
    writer = Writer("plain", 1, int(time.time() * 1000), code_version())
    ingest_references(use_case, landing, lake, writer)
    ingest_rows(use_case, partition, landing, lake, writer)
    validate_and_clean(use_case, partition, lake, writer)
    build_partition(use_case, partition, lake, writer)
    predict_partition(use_case, partition, lake, registry, writer)
    with tempfile.TemporaryDirectory() as folder:
        monitor_partition(use_case, partition, lake, registry, writer, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
