"""Months of flights as arrays in memory: what a training would see, without lake and registry.

The files are those that `scripts.land_flights` lands; cleaning, references and features are the
project's own functions.
"""

from __future__ import annotations

import operator
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from include.ingest_label.files import parse
from include.ingest_label.source import Source
from include.lake.frames import to_pandas
from include.modelling.blocks import days
from include.modelling.cleaning import without_noise
from include.modelling.features import build_features
from include.modelling.fit import fit
from include.modelling.scoring import score_rows
from include.use_cases.loader import get, python_of
from include.use_cases.schema import UseCase
from scripts.land_flights import land_outcomes, land_rows

MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Month:
    """Labelled rows of one month, in order of time.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_features)
        What `build_features` makes.
    y : Series of shape (n_rows,)
        The label.
    times : Series of timestamp, shape (n_rows,)
        The scheduled hour.
    day : ndarray of shape (n_rows,)
        Number of the UTC day of each row, from 0.
    """

    X: pd.DataFrame
    y: pd.Series[Any]
    times: pd.Series[Any]
    day: npt.NDArray[np.intp]


@lru_cache(maxsize=12)
def month(use_case: str, key: str) -> Month:
    """Build the labelled rows of one month of `flight_delays` or `air_time`."""
    case = get(use_case)
    assert case.labels is not None  # noqa: S101  both have
    with tempfile.TemporaryDirectory(prefix="flywheel-flights-") as folder:
        landing = Path(folder)
        land_rows(landing, key)
        land_outcomes(landing, key)
        rows = _read(landing / "flights" / key / "flights.csv", case.ingest.columns)
        outcomes = _read(
            landing / "flight_outcomes" / key / "outcomes.csv", dict(case.labels.columns)
        )
        references = {
            "weather": landing / "weather" / key / "weather.csv",
            "planes": landing / "planes" / "planes.csv",
        }
        tables = {
            name: to_pandas(_read(path, dict(case.ingest.references[name].columns)))
            for name, path in references.items()
        }
    clean = to_pandas(without_noise(rows, case.clean)[0]).dropna(subset=["tailnum"])
    label = case.labels.from_
    known = to_pandas(outcomes)[[*case.ingest.key, label]].dropna()
    frame = clean.merge(known, on=case.ingest.key, validate="one_to_one")
    frame = frame.sort_values(["time_hour", *case.ingest.key], ignore_index=True)
    X = build_features(frame.drop(columns=label), tables, case, python_of(case))
    times = frame["time_hour"]
    day, _ = pd.factorize(days(times), sort=True)
    return Month(X, _label(frame[label], case.labels.rule), times, day)


def window(use_case: str, keys: list[str]) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Put several months together, the newest `train.max_rows` rows of them."""
    months = [month(use_case, key) for key in keys]
    most = get(use_case).train.max_rows
    X = pd.concat([each.X for each in months], ignore_index=True).tail(most)
    y = pd.concat([each.y for each in months], ignore_index=True).tail(most)
    return X.reset_index(drop=True), y.reset_index(drop=True)


def seeded(case: UseCase, random_state: int) -> UseCase:
    """Return the use case with another ``train.tuning.random_state``."""
    tuning = case.train.tuning.model_copy(update={"random_state": random_state})
    train = case.train.model_copy(update={"tuning": tuning})
    return case.model_copy(update={"train": train})


def months_before(key: str, count: int) -> list[str]:
    """Name so many months before one.

    >>> months_before("2013-05", 3)
    ['2013-02', '2013-03', '2013-04']
    """
    end = MONTHS.index(key)
    return MONTHS[end - count : end]


def fitted(case: UseCase, candidate: str, params: dict[str, Any], known: list[str]) -> Any:
    """Fit one configuration on the months `known`."""
    return fit(case, candidate, params, *window(case.name, known))


def scored(model: Any, case: UseCase, key: str) -> Floats:
    """Score a month."""
    return score_rows(model, month(case.name, key).X, case)


def _read(path: Path, columns: dict[str, Any]) -> pa.Table:
    return parse(path.read_bytes(), Source(str(path)), columns)


def _label(outcome: pd.Series[Any], rule: str | None) -> pd.Series[Any]:
    if rule is None:
        return outcome.astype("float64")
    sign, number = rule.split()
    compare = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}[sign]
    return compare(outcome, float(number)).astype("int64")
