"""A pipeline whose estimator is an ONNX graph, and the proof that it scores as the fitted one does.

A graph that differs anywhere is not used: the package says so, and scikit-learn scores.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.modelling.scoring import score_rows
from include.runtime.encoding import Encoding, Floats, NotConvertible, columns_of, encoding_of
from include.use_cases.schema import UseCase

ONNX, SCIKIT_LEARN = "onnx", "scikit-learn"
CLOSE = 1e-9
"""Largest difference of a score, relative to scores above 1. Both compute in double precision, so
only the order of a sum differs; 1e-6 is what docs/adr/0019 allows."""
MOST_SPLITS = 20_000
"""Of a larger forest so many splits are tried, evenly spaced."""
_BASE_ROWS = 500
_UNSEEN = "a text that no training row had"
# Whole numbers that float32 does not hold, and the largest of features.
_LARGE = (2.0**24 + 1, -(2.0**24) - 1, 2.0**31 + 1, 2.0**53 - 1, 1e30, -1e30)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parity:
    """Which runtime scores, and what a comparison of the two has found.

    Attributes
    ----------
    runtime : {'onnx', 'scikit-learn'}
        What scores.
    reason : str, optional
        Why it is not ONNX.
    rows : int
        Rows compared.
    max_difference : float, optional
        The largest difference of a score, relative to scores above 1.
    """

    runtime: str
    reason: str | None = None
    rows: int = 0
    max_difference: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


class OnnxPipeline:
    """Scores like the fitted pipeline that it was made of. Threads may share it.

    Parameters
    ----------
    pipeline : fitted Pipeline
        Its preprocessing is read; of its estimator only the classes.
    graph : bytes
        What `include.runtime.graphs.graph_of` wrote of its estimator.
    """

    def __init__(self, pipeline: Any, graph: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # requests are parallel
        options.log_severity_level = 3
        self._run = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        ).run
        self.encoding: Encoding = encoding_of(pipeline.named_steps["prepare"])
        estimator = pipeline.named_steps["estimate"]
        self.classes_: npt.NDArray[Any] | None = getattr(estimator, "classes_", None)
        self._names = [*self.encoding.numeric, *(each.name for each in self.encoding.categories)]

    def predict_proba(self, X: pd.DataFrame | Mapping[str, Any]) -> Floats:
        """Return the probability of each class, shape (n_rows, n_classes)."""
        matrix = self.encoding.matrix(columns_of(X, self._names))
        scores: Floats = self._run(["scores"], {"matrix": matrix})[0]
        return scores

    def predict(self, X: pd.DataFrame | Mapping[str, Any]) -> Floats:
        """Return the predicted values of a regression."""
        return self.predict_proba(X)[:, 0]


def convert(pipeline: Any, use_case: UseCase, X: pd.DataFrame) -> tuple[bytes | None, Parity]:
    """Write the graph of a pipeline and compare it with the pipeline.

    Parameters
    ----------
    pipeline : fitted Pipeline
        What `include.modelling.estimators.make` made.
    use_case : UseCase
        Names the columns.
    X : DataFrame
        Features of real rows. Compared are some of them, and rows made of them: at, just below and
        just above each split of a tree, with missing numbers, with texts that nobody has seen, and
        with numbers that single precision does not hold.

    Returns
    -------
    graph : bytes or None
        None where scikit-learn is to score.
    parity : Parity
    """
    from include.runtime.graphs import graph_of

    if use_case.task == "clustering":
        return None, Parity(SCIKIT_LEARN, "clusters have no graph here")
    try:
        columns = encoding_of(pipeline.named_steps["prepare"]).matrix(
            columns_of(X.head(1), use_case.features.columns)
        )
        graph = graph_of(pipeline.named_steps["estimate"], columns.shape[1])
    except NotConvertible as error:
        return None, Parity(SCIKIT_LEARN, f"{error} has no graph here")
    return _compared(pipeline, OnnxPipeline(pipeline, graph), graph, use_case, X)


def _compared(
    pipeline: Any, candidate: OnnxPipeline, graph: bytes, use_case: UseCase, X: pd.DataFrame
) -> tuple[bytes | None, Parity]:
    rows = pd.concat(_rare_rows(pipeline, candidate, use_case, X), ignore_index=True)
    expected = score_rows(pipeline, rows, use_case)
    found = score_rows(candidate, rows, use_case)
    differences = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    largest = float(differences.max())
    if not largest <= CLOSE:  # NaN is not close
        reason = f"the graph's scores differ by up to {largest:.2g}"
        _log.warning("%s: scikit-learn scores: %s", use_case.name, reason)
        finite = largest if np.isfinite(largest) else None
        return None, Parity(SCIKIT_LEARN, reason, len(rows), finite)
    return graph, Parity(ONNX, None, len(rows), largest)


def _rare_rows(
    pipeline: Any, candidate: OnnxPipeline, use_case: UseCase, X: pd.DataFrame
) -> Iterator[pd.DataFrame]:
    base = X[use_case.features.columns].head(_BASE_ROWS).reset_index(drop=True)
    yield base
    for name in use_case.features.numeric:
        yield base.head(20).assign(**{name: np.nan})
        yield base.head(len(_LARGE)).assign(**{name: list(_LARGE)[: len(base)]})
    for name in use_case.features.categorical:
        for text in (_UNSEEN, "missing", ""):
            changed = base.head(5).copy()
            changed[name] = pd.Series([text] * len(changed), dtype="str")
            yield changed
    yield _at_splits(pipeline, use_case, base, candidate.encoding.numeric)


def _at_splits(
    pipeline: Any, use_case: UseCase, base: pd.DataFrame, numeric: list[str]
) -> pd.DataFrame:
    """Make rows whose value is a threshold, its neighbours, or its rounding to single precision.

    Columns behind the numeric ones hold encoded categories: no other values than those occur.
    """
    from include.runtime.graphs import thresholds_of

    splits = [
        (column, value)
        for column, value in thresholds_of(pipeline.named_steps["estimate"])
        # A split by missing values alone has an infinite threshold; features are finite.
        if column < len(numeric) and np.isfinite(value)
    ]
    splits = splits[:: max(1, len(splits) // MOST_SPLITS)]
    if not splits:
        return base.head(0)
    columns, values = np.array([c for c, _ in splits]), np.array([v for _, v in splits])
    near = [
        values,
        np.nextafter(values, np.inf),
        np.nextafter(values, -np.inf),
        values.astype(np.float32).astype(np.float64),
    ]
    rows = base.iloc[np.arange(4 * len(values)) % len(base)].reset_index(drop=True)
    numbers = rows[numeric].to_numpy(copy=True)
    numbers[np.arange(len(numbers)), np.tile(columns, 4)] = np.concatenate(near)
    rows[numeric] = numbers
    return rows
