"""List what is out of date: made by another definition than today's, from the input of today.

    python -m scripts.outdated

It reads the lake and the landing area, not Airflow, and works while the stack is down.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from include.errors import FlywheelError
from include.housekeeping.outdated import find_out_of_date
from include.housekeeping.survey import Survey
from include.ingest_label.landing import Landing
from include.lake.table import Lake
from include.registry.ledger import Ledger
from include.settings import Settings
from include.use_cases.loader import load_all
from include.use_cases.schema import UseCase


def lines(settings: Settings) -> Iterator[str]:
    """Yield a line for each table and definition, or one that says that there is nothing."""
    lake = Lake(settings.lake_uri, settings.storage_options())
    landing = Landing(settings.landing_uri, settings.storage_options())
    for name, use_case in load_all().use_cases.items():
        found = find_out_of_date(_survey(use_case, lake, landing, settings))
        for one in found:
            yield f"{name}: {one.told(use_case, lake)}."
        if not found:
            yield f"{name}: nothing is out of date."


def _survey(use_case: UseCase, lake: Lake, landing: Landing, settings: Settings) -> Survey:
    ledger = Ledger(lake, use_case.name, settings.verify_key)
    return Survey(use_case, lake, landing, ledger.current())


def main() -> int:
    """Print the lines."""
    try:
        for line in lines(Settings.from_env()):
            print(line)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
