"""What it is worth to learn from rows by the confidence of their labels (`train.label_confidence`).

`python -m benchmarks.label_confidence`: on three tables of scikit-learn, whose truth is known,
planted annotators or rules give labels with errors; a model learns from these, once with every row
alike and once by the confidence, and is measured on rows with the true class. Ten draws each. Exit
code 1 where the log loss by confidence is surely higher (by two standard errors) in a setting, or
not lower in most.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from include.labelling.label_model import ABSTAIN, Votes, chosen, weigh

SEEDS = 10
TABLES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "digits": lambda: load_digits(return_X_y=True),
    "breast_cancer": lambda: load_breast_cancer(return_X_y=True),
    "synthetic": lambda: make_classification(
        4_000, 20, n_informative=6, n_clusters_per_class=3, class_sep=0.8, random_state=0
    ),
}
MODELS: dict[str, Callable[[], Any]] = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=40, random_state=0),
}
VOTERS: dict[str, tuple[tuple[float, ...], float]] = {
    "3 people of .6, .75, .95, each on 70 % of the rows": ((0.6, 0.75, 0.95), 0.7),
    "6 rules from .55 to .9, each on 40 % of the rows": (tuple(np.linspace(0.55, 0.9, 6)), 0.4),
}


@dataclass(frozen=True)
class Compared:
    """Mean log loss over the draws, and the standard error of the difference."""

    table: str
    model: str
    voters: str
    alike: float
    by_confidence: float
    error: float


def votes_on(truth: Votes, voters: str, rng: np.random.Generator) -> Votes:
    """Draw what each voter says of each row, given the truth."""
    accuracies, coverage = VOTERS[voters]
    classes, rows = int(truth.max()) + 1, len(truth)
    votes = np.full((rows, len(accuracies)), ABSTAIN)
    for place, accuracy in enumerate(accuracies):
        others = (truth + rng.integers(1, classes, rows)) % classes
        said = np.where(rng.random(rows) < accuracy, truth, others)
        votes[:, place] = np.where(rng.random(rows) < coverage, said, ABSTAIN)
    return votes


def losses(table: str, model: str, voters: str, seed: int) -> tuple[float, float]:
    """Learn from two thirds of the rows with their votes, and measure on the others."""
    X, truth = TABLES[table]()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(truth))
    learn, judge = np.split(order, [2 * len(order) // 3])
    classes = int(truth.max()) + 1
    votes = votes_on(truth[learn], voters, rng)
    labels, confidence = chosen(weigh(votes, classes, "dawid_skene").posterior)
    rows = labels != ABSTAIN

    def loss(weight: npt.NDArray[np.float64]) -> float:
        estimator = MODELS[model]()
        last = estimator.steps[-1][0] + "__" if hasattr(estimator, "steps") else ""
        estimator.fit(X[learn][rows], labels[rows], **{f"{last}sample_weight": weight})
        given = np.zeros((len(judge), classes))
        given[:, estimator.classes_] = estimator.predict_proba(X[judge])
        return float(log_loss(truth[judge], given, labels=range(classes)))

    return loss(np.ones(rows.sum())), loss(confidence[rows])


def compare() -> Iterator[Compared]:
    """Go through the settings; boosting ten classes is left out, as it takes minutes."""
    for table in TABLES:
        for voters in VOTERS:
            for model in MODELS:
                if (table, model) == ("digits", "boosting"):
                    continue
                found = np.array([losses(table, model, voters, seed) for seed in range(SEEDS)])
                alike, by_confidence = found.mean(axis=0)
                difference = found[:, 1] - found[:, 0]
                error = float(difference.std(ddof=1) / np.sqrt(SEEDS))
                yield Compared(table, model, voters, float(alike), float(by_confidence), error)


def main() -> int:
    """Print the table; return 1 where the confidence does not help."""
    print(f"{'log loss on the truth':68} alike  by confidence")
    gains, worse = [], 0
    for one in compare():
        gain = one.by_confidence - one.alike
        gains.append(gain)
        worse += gain > 2 * one.error
        name = f"{one.table}, {one.model}, {one.voters}"
        print(f"{name:78} {one.alike:.3f}  {one.by_confidence:.3f} ({gain:+.3f} ± {one.error:.3f})")
    return int(worse > 0 or np.median(gains) >= 0)


if __name__ == "__main__":
    sys.exit(main())
