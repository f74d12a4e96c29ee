"""Partitions through the wheel's own functions, without Airflow, for comparison with the wheel.

    FLYWHEEL_HOME=<copy of a home> python -m benchmarks.plain_partition flight_delays 2013-04 ...

One process takes one partition after the other: the first pays the imports, the later ones are
warm. For each a line of JSON: when it began and ended, in seconds since the epoch.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path


def main(use_case_name: str, *partitions: str) -> None:
    """Take landed partitions from their files to their drift reports."""
    started = time.time()
    from include.batch_predict.predict import predict_partition
    from include.drift_monitor.monitor import monitor_partition
    from include.feature.build import build_partition
    from include.ingest_label.ingest import ingest_reference, ingest_rows
    from include.ingest_label.landing import Landing
    from include.lake.table import Lake, Writer
    from include.provenance import code_version
    from include.registry.client import Registry
    from include.registry.ledger import Ledger
    from include.settings import Settings
    from include.use_cases.loader import get
    from include.validate_clean.validate import validate_and_clean

    settings, use_case = Settings.from_env(), get(use_case_name)
    landing, lake = Landing(settings.landing_uri), Lake(settings.lake_uri)
    registry = Registry(
        settings.tracking_uri, verify_key=settings.verify_key, cache=settings.home / "models"
    )
    champion = Ledger(lake, use_case.name, settings.verify_key).current()
    if champion is None:
        raise SystemExit("There is no champion: nothing would be compared.")
    for partition in partitions:
        writer = Writer("plain", 1, int(time.time() * 1000), code_version())
        for name, reference in use_case.ingest.references.items():
            if reference.partitioned:
                ingest_reference(use_case, name, partition, landing, lake, writer)
        ingest_rows(use_case, partition, landing, lake, writer)
        validate_and_clean(use_case, partition, lake, writer)
        build_partition(use_case, partition, lake, writer)
        predict_partition(use_case, partition, champion.version, lake, registry, writer)
        with tempfile.TemporaryDirectory() as folder:
            monitor_partition(use_case, partition, lake, registry, writer, Path(folder))
        ended = time.time()
        print(json.dumps({"partition": partition, "started": started, "ended": ended}))
        started = ended


if __name__ == "__main__":
    main(*sys.argv[1:])
