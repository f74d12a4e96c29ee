"""Whether a model scores each row for itself: only then may rows of several requests be one batch.

`derive` in a use case's `features.py` gets a frame. One that compares a row with the mean of the
frame gives the row another value in another company. This is tried on real rows when the model is
packaged, and the manifest notes what was found.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from include.modelling.features import References, build_features
from include.modelling.scoring import score_rows
from include.registry.request_rules import Seen
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase

ROWS = 40
"""Rows of a sample, beside those made of them. Each is built alone, which takes milliseconds."""
CLOSE = 1e-9
"""Relative difference of a feature that the order of a sum may make."""
CLOSE_SCORE = 1e-6
"""As docs/adr/0019 states it for batches of different sizes."""

_UNSEEN = "a text that no training row had"
_BEYOND_FLOAT32 = 2**24 + 1
"""The first whole number that float32 does not hold."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows as requests carry them, and the references that their features join.

    Attributes
    ----------
    rows : DataFrame
        At least the columns ``features.inputs``, with the dtypes of
        `include.lake.frames.to_pandas`.
    references : mapping of str to Indexed or DataFrame
        The tables of ``features.references``.
    """

    rows: pd.DataFrame
    references: References

    def with_rare_rows(self, use_case: UseCase, seen: Mapping[str, Seen]) -> Sample:
        """Add what requests may hold and samples rarely do.

        A missing value in each column where training saw one, a text that nobody has seen, and
        a number that float32 does not hold.
        """
        rows = self.rows[use_case.features.inputs].head(ROWS).reset_index(drop=True)
        rare = [rows]
        for name in use_case.features.inputs:
            kind = use_case.ingest.columns[name]
            if seen[name].null if name in seen else False:
                rare.append(_changed(rows, name, None))
            if kind == "string":
                rare.append(_changed(rows, name, _UNSEEN))
            if kind in ("int64", "float64"):
                rare.append(_changed(rows, name, _BEYOND_FLOAT32))
        return Sample(pd.concat(rare, ignore_index=True), self.references)


def scores_rows_alone(estimator: Any, use_case: UseCase, python: OwnPython, sample: Sample) -> bool:
    """Return whether features and score of a row stay the same alone, in order and shuffled.

    Rows that fail alone are left out: in a batch they are found by halving it.

    Parameters
    ----------
    estimator : fitted Pipeline
        Takes features.
    use_case : UseCase
        Names the columns.
    python : OwnPython
        Its `features.py` is what is tried.
    sample : Sample
        A few dozen rows.
    """

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        return build_features(rows, sample.references, use_case, python)

    alone = {}
    for place in range(len(sample.rows)):
        try:
            alone[place] = build(sample.rows.iloc[[place]])
        except Exception as error:  # own code may raise anything; a request would get its error
            _log.info("%s: a rare row has no features: %s", use_case.name, error)
    if not alone:
        return False
    expected = pd.concat(alone.values())
    scores = np.concatenate([score_rows(estimator, row, use_case) for row in alone.values()])
    rows = sample.rows.iloc[list(alone)]
    order = np.random.default_rng(0).permutation(len(rows))
    for chosen in (np.arange(len(rows)), order, order[: len(order) // 3]):
        try:
            found = build(rows.iloc[chosen])
            found_scores = score_rows(estimator, found, use_case)
        except Exception as error:
            _log.warning("%s: rows fail together that do not alone: %s", use_case.name, error)
            return False
        if not (
            _same(found, expected.iloc[chosen], use_case)
            and np.allclose(found_scores, scores[chosen], rtol=CLOSE_SCORE, atol=CLOSE_SCORE)
        ):
            _log.warning("%s: features or scores depend on the rows beside a row", use_case.name)
            return False
    return True


def _changed(rows: pd.DataFrame, name: str, value: Any) -> pd.DataFrame:
    changed = rows.head(1).copy()
    changed[name] = pd.Series([value], dtype=rows[name].dtype)
    return changed


def _same(found: pd.DataFrame, expected: pd.DataFrame, use_case: UseCase) -> bool:
    numeric, categorical = use_case.features.numeric, use_case.features.categorical
    return bool(
        np.allclose(found[numeric], expected[numeric], rtol=CLOSE, atol=0, equal_nan=True)
        and found[categorical].equals(expected[categorical])
    )
