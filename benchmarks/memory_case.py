"""One case of `benchmarks.memory`, in a process of its own; prints seconds and the peak as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.memory import peak_gib
from benchmarks.synthetic import USE_CASE
from include.lake.table import Lake, Writer
from include.use_cases.loader import get

Steps = dict[str, Callable[[], Any]]


def partition(folder: Path, month: str) -> Steps:
    """Take a landed month to features, as three tasks do."""
    import great_expectations  # noqa: F401  a warm worker has it, so its seconds do not count

    from include.due.stages import ALL
    from include.feature.build import build_partition
    from include.ingest_label.ingest import ingest_labels, ingest_reference, ingest_rows
    from include.ingest_label.landing import Landing
    from include.validate_clean.validate import validate_and_clean

    use_case, lake, landing = get(USE_CASE), _lake(folder), Landing(str(folder / "landing"))

    def ingest() -> None:
        ingest_rows(use_case, month, landing, lake, _writer())
        ingest_labels(use_case, month, landing, lake, _writer())
        ingest_reference(use_case, "shops", month, landing, lake, _writer())
        ingest_reference(use_case, "items", ALL, landing, lake, _writer())

    return {
        "ingest": ingest,
        "clean": lambda: validate_and_clean(use_case, month, lake, _writer()),
        "features": lambda: build_partition(use_case, month, lake, _writer()),
    }


def features(folder: Path, month: str) -> Steps:
    """Build the features of a month that is clean."""
    from include.feature.build import build_partition

    use_case, lake = get(USE_CASE), _lake(folder)
    return {"features": lambda: build_partition(use_case, month, lake, _writer())}


def training(folder: Path, month: str) -> Steps:
    """Load the training set, try the default of each candidate, fit and judge the last of them.

    MLflow is imported and not spoken to: what it is sent does not grow with the rows.
    """
    from include.modelling.estimators import defaults, make
    from include.modelling.metrics import evaluate
    from include.modelling.out_of_fold import out_of_fold
    from include.modelling.training_set import TrainingSet, load_training_set, wide
    from include.registry.request_rules import seen_in
    from include.train_tune.finish import example_row, request_rows

    use_case, lake = get(USE_CASE), _lake(folder)
    loaded: list[TrainingSet] = []

    def trials() -> None:
        for space in use_case.train.candidates:
            out_of_fold(use_case, space.estimator, defaults(space), loaded[0])

    def finish() -> None:
        rows, space = loaded[0], use_case.train.candidates[-1]
        model = make(use_case, space.estimator, defaults(space))
        model.fit(wide(rows.train_X), rows.train_y)
        evaluate(use_case, model, rows.holdout_X, rows.holdout_y)
        example_row(use_case, month, lake)
        seen_in(request_rows(use_case, rows.learned_from, lake), use_case)

    return {
        "load": lambda: loaded.append(load_training_set(use_case, lake, month)),
        "trials": trials,
        "finish": finish,
    }


CASES = {"partition": partition, "features": features, "training": training}


def main(what: str, folder: str, month: str) -> None:
    """Run the steps of a case and print what they took."""
    seconds, peaks = {}, {}
    for name, step in CASES[what](Path(folder), month).items():
        started = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - started
        peaks[name] = peak_gib()
    print(json.dumps({"seconds": seconds, "peaks": peaks, "gib": peak_gib()}))


def _lake(folder: Path) -> Lake:
    return Lake(str(folder / "home" / "lake"))


def _writer() -> Writer:
    return Writer("bench", 1, time.time_ns() // 1_000_000, "bench")


if __name__ == "__main__":
    main(*sys.argv[1:])
