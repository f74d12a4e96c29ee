"""Land the tables of the shipped snapshots, which come with packages.

    python -m scripts.land_examples digits votes
    python -m scripts.land_examples digits --snapshot 2024-06-01

Most digits land without their label: people are asked for it.

A snapshot lands under its date, by default today. An existing file is left unchanged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from include.lake.errors import is_remote
from include.modelling.units import unit_numbers
from include.settings import Settings


def digits() -> pd.DataFrame:
    """Return scikit-learn's 1,797 handwritten digits: 64 shades from 0 to 16, and the digit.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI 1998.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    shades = pd.DataFrame(
        data.data.astype("int64"),
        columns=[f"shade_{row}_{column}" for row in range(8) for column in range(8)],
    )
    shades.insert(0, "image", [f"image_{number:04}" for number in range(len(shades))])
    return shades.assign(digit=data.target)


def votes() -> pd.DataFrame:
    """Return statsmodels' 944 voters of the American National Election Study of 1996.

    The vote is a text, Clinton or Dole; left-right places and party are numbers of the survey.
    """
    from statsmodels.datasets import anes96

    frame = anes96.load_pandas().data.drop(columns="logpopul")
    frame.insert(0, "voter", [f"voter_{number:03}" for number in range(len(frame))])
    return frame.assign(vote=frame["vote"].map({0.0: "Clinton", 1.0: "Dole"}))


HELD_OUT = 0.2
"""`train.split.holdout` of the use case: these digits land with their label. The gate can tell what
a gain is worth from 20 images of a class on, and the fifth has 29 or more of each."""
TO_BEGIN_WITH = 60
"""So many of the others land with their label too, drawn at random: a first model learns from six
of each digit or so."""


def mostly_unlabelled_digits() -> pd.DataFrame:
    """Return the digits as they land: most labels are missing, but those of the holdout are there.

    Those who need the true labels take `digits`.
    """
    frame = digits()
    held_out = unit_numbers(pa.table({"image": frame["image"]}), ["image"], "holdout") < HELD_OUT
    others = np.random.default_rng(0).permutation(np.flatnonzero(~held_out))
    shown = held_out.copy()
    shown[others[:TO_BEGIN_WITH]] = True
    return frame.assign(digit=frame["digit"].astype("Int64").where(shown))


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "digits": mostly_unlabelled_digits,
    "votes": votes,
}


def land(name: str, landing: Path, snapshot: date) -> Path:
    """Land one table, whole or not at all; return the file."""
    path = landing / name / snapshot.isoformat() / f"{name}.csv"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    TABLES[name]().to_csv(draft, index=False)
    draft.rename(path)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Land what is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=sorted(TABLES), help="which tables")
    parser.add_argument("--to", help="a folder; by default the landing area")
    parser.add_argument(
        "--snapshot", type=date.fromisoformat, default=datetime.now(UTC).date(), help="its date"
    )
    options = parser.parse_args(arguments)
    folder = options.to or Settings.from_env().landing_uri
    if is_remote(folder):
        print(f"{folder}: must be a folder. Name one with --to, and copy it.", file=sys.stderr)
        return 1
    for name in options.names:
        print(land(name, Path(folder), options.snapshot))
    return 0


if __name__ == "__main__":
    sys.exit(main())
