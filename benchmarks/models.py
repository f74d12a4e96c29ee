"""Compare what a search finds with what FLAML finds in the same time (`make bench-models`).

Five real tables go through `make new` and the phases, in this process. On the rows that their split
holds out stand: the dummy, the linear baseline, what `make experiment` keeps of the candidates that
`make new` writes, what it keeps of all algorithms, and FLAML (Wang, Wu, Weimer & Zhu, FLAML: A Fast
and Lightweight AutoML Library, MLSys 2021). FLAML gets the features of the same rows, one thread,
and as many seconds as the search of the candidates of `make new` took. It is no dependency: it is
installed for this command alone.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.house import nobodys_environment, variables
from benchmarks.own_tables import TABLES, OwnTable
from include.algorithms import ALGORITHMS
from include.feature.build import build_partition
from include.ingest_label.ingest import ingest_labels, ingest_rows
from include.ingest_label.landing import Landing
from include.lake.table import Lake, Writer
from include.modelling.metrics import metric_of
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet, labelled_partitions, load_training_set
from include.modelling.tuning import fit_and_compare, tune
from include.modelling.uncertainty import estimate
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from include.use_cases.spaces import ESTIMATORS
from include.validate_clean.validate import validate_and_clean
from scripts import new


@dataclass(frozen=True)
class Result:
    """What came of one way to learn, on the held-out rows."""

    value: float
    standard_error: float | None
    kept: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        spread = f" ± {self.standard_error:.4f}" if self.standard_error is not None else ""
        took = f"\n{self.kept}, {self.seconds:.0f} s" if self.kept else ""
        return f"{self.value:.4f}{spread}{took}"


def taken_in(table: OwnTable, folder: Path) -> tuple[UseCase, TrainingSet]:
    """Bring a table through `make new`, ingestion, validation and features.

    Raises
    ------
    RuntimeError
        `make new` refused it.
    """
    if new.main(["--use-case", table.name, *table.write(folder)]) != 0:
        raise RuntimeError(f"{table.name}: `make new` refused it; see above.")
    use_case, writer = get(table.name), Writer("bench", 1, 1, "bench")
    landing, lake = Landing(str(folder / "home" / "landing")), Lake(str(folder / "lake"))
    grain, labels = use_case.ingest.partition.grain, use_case.labels
    partitions = sorted(landing.partitions(use_case.ingest.landing, grain))
    for partition in partitions:
        ingest_rows(use_case, partition, landing, lake, writer)
        validate_and_clean(use_case, partition, lake, writer)
        build_partition(use_case, partition, lake, writer)
    for partition in landing.partitions(labels.landing, grain) if labels else ():
        ingest_labels(use_case, partition, landing, lake, writer)
    as_of = labelled_partitions(use_case, lake, partitions[-1])[-1]
    return use_case, load_training_set(use_case, lake, as_of)


def of_flywheel(use_case: UseCase, training: TrainingSet) -> dict[str, Result]:
    """Search as `make experiment` does; also return the two baselines."""
    start = time.perf_counter()
    kept = tune(use_case, training).trial
    found = fit_and_compare(use_case, kept.candidate, kept.params, training)
    seconds = time.perf_counter() - start
    score = score_rows(found.estimator, training.holdout_X, use_case)
    metric = use_case.train.metric
    return {
        "dummy": Result(found.values["dummy"][metric], None),
        "linear": Result(found.values["linear"][metric], None),
        "flywheel": _judged(use_case, training, score, kept.candidate, seconds),
    }


def of_flaml(use_case: UseCase, training: TrainingSet, seconds: float) -> Result:
    """Let FLAML search for so many seconds."""
    import pandas as pd
    from flaml.automl import AutoML

    names = use_case.features.columns
    learned, held = (X[names].copy() for X in (training.train_X, training.holdout_X))
    for name in use_case.features.categorical:
        kind = pd.CategoricalDtype(sorted(learned[name].dropna().unique()))
        learned[name], held[name] = learned[name].astype(kind), held[name].astype(kind)
    search, start = AutoML(), time.perf_counter()
    search.fit(
        learned,
        training.train_y,
        task=use_case.task,
        metric=use_case.train.metric,
        time_budget=seconds,
        n_jobs=1,
        seed=0,
        verbose=0,
    )
    took = time.perf_counter() - start
    score = np.asarray(
        search.predict_proba(held) if use_case.task == "classification" else search.predict(held),
        dtype=np.float64,
    )
    if use_case.task == "classification" and not use_case.class_names:
        score = score[:, 1]
    return _judged(use_case, training, score, search.best_estimator, took)


def _judged(
    use_case: UseCase, training: TrainingSet, score: Any, kept: str, seconds: float
) -> Result:
    truth = np.asarray(training.holdout_y, dtype=np.float64)
    found = estimate(metric_of(use_case), truth, score, training.holdout_blocks)
    value = float("nan") if found.value is None else found.value
    return Result(value, found.standard_error, kept, seconds)


def compare(use_case: UseCase, training: TrainingSet) -> list[Result]:
    """Return the five results of a table, in the order of the columns."""
    few = of_flywheel(use_case, training)
    candidates = [ALGORITHMS[name](estimator=name) for name in ESTIMATORS[use_case.task]]
    train = use_case.train.model_copy(update={"candidates": candidates})
    every = of_flywheel(use_case.model_copy(update={"train": train}), training)
    return [
        few["dummy"],
        few["linear"],
        few["flywheel"],
        every["flywheel"],
        of_flaml(use_case, training, few["flywheel"].seconds),
    ]


def main() -> None:
    """Compare on each table and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[each.name for each in TABLES])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    shown = Table(
        "held-out rows", "dummy", "linear", "make new", "all algorithms", "FLAML", show_lines=True
    )
    for table in TABLES:
        if table.name not in options.only:
            continue
        with nobodys_environment(), tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "use_cases").mkdir()
            places = {"HOME": folder / "home", "USE_CASES": folder / "use_cases"}
            with variables({f"FLYWHEEL_{key}": str(path) for key, path in places.items()}):
                use_case, training = taken_in(table, folder)
                results = compare(use_case, training)
        metric = metric_of(use_case)
        better = "more" if metric.greater_is_better else "less"
        rows = f"{len(training.train_X):,} rows learned, {len(training.holdout_X):,} held out"
        shown.add_row(
            f"{table.name}: {metric.name}, {better} is better\n{rows}", *map(str, results)
        )
        print(
            table.name, "|", " | ".join(str(one).replace("\n", ", ") for one in results), flush=True
        )
    Console(width=150).print(shown)


if __name__ == "__main__":
    main()
