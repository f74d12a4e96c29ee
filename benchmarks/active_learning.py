"""How many labels active learning saves on the use case digits (`make bench-active-learning`).

Of scikit-learn's 1,797 digits 600 are held out; the others have no label until a round asks for it.
Both policies begin with the same 20 labels and ask for 20 more each round, by the functions of
`include/labelling/policies.py`: one by chance, the other as `labels.people.choose` has it by
default, 16 by the smallest margin of the model and 4 by chance. As in the wheel, the margin may not
choose the rows that are kept for chance, so that these stay a fair sample. After each round the
same model is fitted on all labels so far and measured on the same held-out rows. A policy is done
at the end of the third consecutive round with 95 % accuracy.

Prints the labels needed in 20 seeds and the mean curve, for the linear baseline and for a random
forest; `--picture` draws it, and `--experiment` logs it to MLflow (`MLFLOW_TRACKING_URI`), a run
for each model and policy with the labels as steps. Exit code 1 where the median of the labels that
a model needs is more than 0.7 of what random choice needs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_digits

from include.labelling.policies import choose, uncertainty
from include.modelling.estimators import make
from include.use_cases.loader import get

SEEDS = 20
HELD_OUT, START, ROUND = 600, 20, 20
SHARES = {"random": {"random": 1.0}, "active": {"uncertain": 0.8, "random": 0.2}}
RESERVED = 0.2
"""Share of the rows that only chance may choose: `train.split.holdout` by default."""
TARGET, IN_A_ROW = 0.95, 3
LIMIT = 0.7
"""Median labels of active learning over those of random choice, at most: our target."""
NEVER = float("inf")
MODELS: dict[str, dict[str, float | int]] = {
    "logistic_regression": {"C": 1.0},
    "random_forest": {},
}

Policy = Literal["random", "active"]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Course:
    """What one policy reached with one seed.

    Attributes
    ----------
    labels : list of int
        Labels after each round.
    accuracy : list of float
        On the held-out rows, after each round.
    """

    labels: list[int]
    accuracy: list[float]

    @property
    def needed(self) -> float:
        """Labels at the end of the first three consecutive rounds at the target; inf if never.

        >>> Course([20, 40, 60, 80, 100, 120], [0.96, 0.90, 0.95, 0.96, 0.97, 0.98]).needed
        100
        >>> Course([20, 40], [0.96, 0.96]).needed
        inf
        """
        in_a_row = 0
        for labels, accuracy in zip(self.labels, self.accuracy, strict=True):
            in_a_row = in_a_row + 1 if accuracy >= TARGET else 0
            if in_a_row == IN_A_ROW:
                return labels
        return NEVER


def digits() -> tuple[pd.DataFrame, Labels]:
    """Return the features as the use case names them, and the digits."""
    data = load_digits()
    names = [f"shade_{row}_{column}" for row in range(8) for column in range(8)]
    return pd.DataFrame(data.data, columns=names), data.target.astype(np.int64)


def course(estimator: Any, X: pd.DataFrame, y: Labels, policy: Policy, seed: int) -> Course:
    """Ask in rounds until the target is kept, or nothing is left to ask about."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(y))
    held_out, pool = shuffled[:HELD_OUT], shuffled[HELD_OUT:]
    known, unknown = pool[:START], pool[START:]
    chance = rng.random(len(unknown))
    done = Course([], [])
    while True:
        estimator.fit(X.iloc[known], y[known])
        right = estimator.predict(X.iloc[held_out]) == y[held_out]
        done.labels.append(len(known))
        done.accuracy.append(float(right.mean()))
        if done.needed < NEVER or len(unknown) < ROUND:
            return done
        scores = {"uncertain": uncertainty(estimator.predict_proba(X.iloc[unknown]))}
        asked = choose(SHARES[policy], ROUND, scores, chance, chance < RESERVED).rows
        known = np.concatenate([known, unknown[asked]])
        unknown, chance = np.delete(unknown, asked), np.delete(chance, asked)


@dataclass(frozen=True)
class Compared:
    """Both policies, with one model.

    Attributes
    ----------
    model : str
        The estimator.
    courses : dict of str to list of Course
        By policy: one per seed.
    """

    model: str
    courses: dict[Policy, list[Course]]

    def needed(self, policy: Policy) -> list[float]:
        """Labels that each seed needed, sorted."""
        return sorted(each.needed for each in self.courses[policy])

    @property
    def ratio(self) -> float:
        """Median labels of active learning over the median of random choice; inf if never."""
        active, by_chance = (np.median(self.needed(one)) for one in ("active", "random"))
        return float(active / by_chance) if active < NEVER else NEVER

    def curve(self, policy: Policy) -> list[tuple[int, float]]:
        """Give the mean accuracy after each round that no seed has ended before."""
        courses = self.courses[policy]
        rounds = min(len(each.labels) for each in courses)
        return [
            (courses[0].labels[at], float(np.mean([each.accuracy[at] for each in courses])))
            for at in range(rounds)
        ]


def compare(model: str, seeds: int = SEEDS) -> Compared:
    """Run both policies with each seed."""
    X, y = digits()
    estimator = make(get("digits"), model, MODELS[model])
    policies: tuple[Policy, ...] = ("random", "active")
    return Compared(
        model,
        {one: [course(estimator, X, y, one, seed) for seed in range(seeds)] for one in policies},
    )


def told(compared: Compared) -> Iterator[str]:
    """Lay out the distribution and the curve."""
    yield f"{compared.model}: labels until {IN_A_ROW} consecutive rounds at {TARGET:.0%}"
    for policy in compared.courses:
        needed = compared.needed(policy)
        low, high = np.quantile(needed, [0.25, 0.75], method="lower")
        never = sum(one == NEVER for one in needed)
        yield (
            f"  {policy:7} median {np.median(needed):g}, quartiles {low:g} to {high:g}, "
            f"all {needed[0]:g} to {needed[-1]:g}" + (f", never in {never} seeds" if never else "")
        )
    yield f"  ratio of the medians {compared.ratio:.2f}, limit {LIMIT}"
    for policy in compared.courses:
        points = [f"{labels}: {accuracy:.3f}" for labels, accuracy in compared.curve(policy)]
        yield f"  {policy:7} mean accuracy after so many labels  " + ", ".join(points)


def draw(compared: Sequence[Compared], to: Path) -> None:
    """Draw the accuracy of every seed, and the mean where all seeds still run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(compared), 4), layout="constrained")
    axes = figure.subplots(1, len(compared), sharey=True, squeeze=False)[0]
    colours = {"random": "tab:gray", "active": "tab:blue"}
    for axis, one in zip(axes, compared, strict=True):
        for policy, courses in one.courses.items():
            for each in courses:
                axis.plot(each.labels, each.accuracy, color=colours[policy], alpha=0.15)
            axis.plot(*zip(*one.curve(policy), strict=True), color=colours[policy], label=policy)
        axis.axhline(TARGET, color="black", linestyle=":", linewidth=1)
        axis.set(title=one.model, xlabel="labels", ylim=(0.6, 1.0))
    axes[0].set_ylabel(f"accuracy on {HELD_OUT} held-out digits")
    axes[0].legend(loc="lower right")
    figure.savefig(to, dpi=110)


def log(compared: Sequence[Compared], experiment: str) -> None:
    """Log the mean curves to MLflow: one run for each model and policy, its step is the labels."""
    import mlflow

    mlflow.set_experiment(experiment)
    for one in compared:
        for policy, courses in one.courses.items():
            with mlflow.start_run(run_name=f"{one.model} {policy}"):
                mlflow.log_params({"model": one.model, "policy": policy, "seeds": len(courses)})
                for labels, accuracy in one.curve(policy):
                    mlflow.log_metric("accuracy", accuracy, step=labels)
                if (needed := float(np.median(one.needed(policy)))) < NEVER:
                    mlflow.log_metric("labels_needed", needed)


def main(arguments: Sequence[str] | None = None, run: Callable[[str], Compared] = compare) -> int:
    """Compare, print; return 1 where a model saves too little."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--picture", type=Path, help="draw the curves into this file")
    parser.add_argument("--experiment", help="log the curves to this experiment of MLflow")
    options = parser.parse_args(arguments)
    found = []
    for model in MODELS:
        began = time.monotonic()
        found.append(run(model))
        print("\n".join(told(found[-1])), f"\n  {time.monotonic() - began:.0f} s", flush=True)
    if options.picture:
        draw(found, options.picture)
    if options.experiment:
        log(found, options.experiment)
    return int(any(one.ratio > LIMIT for one in found))


if __name__ == "__main__":
    sys.exit(main())
