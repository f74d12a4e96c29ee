"""What the label model is worth beside the majority vote, and what rules cost.

`python -m benchmarks.label_model` prints the table of planted settings, where the truth is known:
rules of equal and of different accuracy, rare classes, rules that vote for one class only, three
classes, few rows; people of whom some are asked about each item; and rules that copy each other,
where the model fails. Exit code 1 when the model is more than .01 worse than the majority in a
setting that it is made for, or no better where the accuracies differ, or when 100,000 items take
ten rules more than ten seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from include.label.rule_labels import make_rule_labels
from include.labelling.answer_model import weigh_answers
from include.labelling.label_model import ABSTAIN, Shares, Votes, majority, weigh
from include.use_cases.loader import load_text

SEEDS = 10
WITHIN = 0.01
ITEMS, LIMIT_S = 100_000, 10.0


@dataclass(frozen=True)
class Setting:
    """Rules whose votes are drawn independently, given the truth.

    Attributes
    ----------
    name : str
        In words.
    accuracy : tuple of float
        Of each rule where it votes: of one with a pole, its precision.
    coverage : float
        Share of rows that each rule votes on; of one with a pole, of the rows of its class.
    classes : tuple of float
        Share of each class.
    poles : tuple of int
        The only class that each rule votes for; empty where they vote for all.
    differ : bool
        Whether accuracies differ, so that the model must be better.
    copies : int
        So many more rules repeat the first one.
    rows : int
        How many items.
    asked : int
        So many of the voters, drawn by chance, are asked about each item, as people are; 0: all.
    """

    name: str
    accuracy: tuple[float, ...]
    coverage: float = 0.5
    classes: tuple[float, ...] = (0.5, 0.5)
    poles: tuple[int, ...] = ()
    differ: bool = True
    copies: int = 0
    rows: int = 5_000
    asked: int = 0


VARIED = (0.55, 0.55, 0.6, 0.6, 0.65, 0.7, 0.8, 0.9, 0.95, 0.97)
POLES = (0, 0, 0, 0, 0, 1, 1, 1, 1, 1)
SETTINGS = (
    Setting("equal accuracy, all vote", (0.7,) * 10, coverage=1.0, differ=False),
    Setting("equal accuracy, few vote", (0.7,) * 10, coverage=0.3, differ=False),
    Setting("three equal rules", (0.75,) * 3, coverage=0.6, differ=False),
    Setting("accuracies differ", VARIED),
    Setting("accuracies differ, few vote", VARIED, coverage=0.2),
    Setting("accuracies differ, 1,100 rows", VARIED, rows=1_100),
    Setting("one rule is worse than chance", (0.35, *VARIED[1:])),
    Setting("three rules", (0.6, 0.7, 0.9), coverage=0.6),
    Setting("a class of 10 %", (0.7, 0.75, 0.8, 0.8, 0.85, 0.85, 0.9, 0.9, 0.95, 0.95),
            classes=(0.9, 0.1)),
    Setting("each votes for one class", (0.9, 0.6, 0.8, 0.95, 0.6, 0.9, 0.8, 0.7, 0.9, 0.6),
            coverage=0.3, poles=POLES),
    Setting("four classes", (0.4, 0.5, 0.5, 0.6, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9),
            classes=(0.4, 0.3, 0.2, 0.1)),
    Setting("three equal people, two asked", (0.7,) * 3, 1.0, differ=False, rows=600, asked=2),
    Setting("eight equal people, two asked", (0.8,) * 8, 1.0, differ=False, rows=600, asked=2),
    Setting("four equal people, a class of 5 %", (0.9,) * 4, 1.0, classes=(0.95, 0.05),
            differ=False, rows=600, asked=3),
    Setting("people differ, three of five asked", (0.55, 0.65, 0.75, 0.85, 0.95), 1.0,
            rows=600, asked=3),
    Setting("two of eight asked, four classes", (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95), 1.0,
            classes=(0.4, 0.3, 0.2, 0.1), rows=600, asked=2),
    Setting("one of four asked, ten classes", (0.7, 0.8, 0.9, 0.95), 1.0, classes=(0.1,) * 10,
            differ=False, rows=2_000, asked=1),
    Setting("too few rows to weigh", (0.7,) * 10, coverage=0.3, differ=False, rows=200),
    Setting("two rules: too few to weigh", (0.7, 0.9), coverage=0.7, differ=False),
)  # fmt: skip
CORRELATED = Setting("six copies of a rule of .6", (0.6, 0.8, 0.8, 0.8, 0.8), 0.9, copies=5)


def plant(setting: Setting, seed: int) -> tuple[Votes, Votes]:
    """Draw the truth of each row and the votes on it."""
    rng = np.random.default_rng(seed)
    n_classes, rows = len(setting.classes), setting.rows
    truth = rng.choice(n_classes, rows, p=setting.classes)
    votes = np.full((rows, len(setting.accuracy)), ABSTAIN)
    for rule, accuracy in enumerate(setting.accuracy):
        if setting.poles:
            pole = setting.poles[rule]
            of_pole = truth == pole
            wrong = setting.coverage * of_pole.mean() * (1 / accuracy - 1) / (~of_pole).mean()
            votes[rng.random(rows) < np.where(of_pole, setting.coverage, wrong), rule] = pole
            continue
        others = (truth + rng.integers(1, n_classes, rows)) % n_classes
        said = np.where(rng.random(rows) < accuracy, truth, others)
        votes[:, rule] = np.where(rng.random(rows) < setting.coverage, said, ABSTAIN)
    if setting.asked:
        place = rng.random(votes.shape).argsort(axis=1).argsort(axis=1)
        votes[place >= setting.asked] = ABSTAIN
    copied = np.repeat(votes[:, :1], setting.copies, axis=1)
    return truth, np.hstack([votes, copied])


def accuracies(setting: Setting) -> tuple[float, float, str]:
    """Return the mean accuracy of the majority and of the model over `SEEDS` draws.

    Of the rows with a vote; ties are broken by chance.
    """
    found, used = [], ""
    n_classes = len(setting.classes)
    for seed in range(SEEDS):
        truth, votes = plant(setting, seed)
        used, posterior = posterior_of(setting, votes)
        seen = (votes != ABSTAIN).any(axis=1)
        ties = 1e-9 * np.random.default_rng(seed).random((len(truth), n_classes))
        found.append([
            float(((each + ties).argmax(axis=1) == truth)[seen].mean())
            for each in (majority(votes, n_classes), posterior)
        ])  # fmt: skip
    by_majority, by_model = np.mean(found, axis=0)
    return float(by_majority), float(by_model), used


def posterior_of(setting: Setting, votes: Votes) -> tuple[str, Shares]:
    """Weigh votes of rules, or answers of people; say how."""
    if setting.asked:
        return "one coin", weigh_answers(votes, len(setting.classes), "dawid_skene")
    weighed = weigh(votes, len(setting.classes), "dawid_skene")
    return weighed.model, weighed.posterior


def problems(setting: Setting, by_majority: float, by_model: float) -> Iterator[str]:
    """Say where the model is not what it must be."""
    if by_model < by_majority - WITHIN:
        yield f"{setting.name}: more than {WITHIN} worse than the majority"
    if setting.differ and by_model <= by_majority:
        yield f"{setting.name}: no better than the majority"


YAML = """\
task: classification
description: benchmark
owner: x@example.com
ingest:
  landing: a/{partition}/*.csv
  partition: {column: at, grain: month}
  key: [id]
  columns: {id: int64, at: timestamp, a: float64, b: float64, c: string}
labels:
  strategy: rules
  rules:
    functions:
FUNCTIONS
features: {inputs: [a, b, c], numeric: [a, b], categorical: [c]}
train: {metric: roc_auc, split: {by: at}, candidates: [{estimator: logistic_regression}]}
retrain: {when: [age]}
"""


def seconds_of_rules(items: int = ITEMS) -> float:
    """Measure ten rules on so many items, five of them in Python, from rows to labels."""
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        return _timed(items, rng, folder)


def _timed(items: int, rng: Any, folder: str) -> float:
    import os
    from pathlib import Path

    home = Path(folder) / "timed"
    home.mkdir()
    written = [
        f"def f{n}(row):\n    return {n % 2} if row['a'] > {n / 10} else None\n" for n in range(5)
    ]
    (home / "labels.py").write_text("\n".join(written))
    conditions = [
        f"w{n}: {{when: \"b > {n / 10} and c in ['x', 'y']\", label: {n % 2}}}" for n in range(5)
    ]
    functions = [*conditions, *(f"f{n}: {{python: f{n}}}" for n in range(5))]
    text = YAML.replace("FUNCTIONS", "\n".join(f"      {one}" for one in functions))
    os.environ["FLYWHEEL_USE_CASES"] = folder
    use_case = load_text(text, "timed", "use_case.yaml")
    times = pa.array(np.full(items, np.datetime64("2024-01-01", "us")), pa.timestamp("us", "UTC"))
    rows = pa.table({
        "id": np.arange(items), "at": times, "a": rng.random(items), "b": rng.random(items),
        "c": rng.choice(["x", "y", "z"], items),
    })  # fmt: skip
    assert use_case.labels is not None  # noqa: S101  for mypy
    assert use_case.labels.rules is not None  # noqa: S101  for mypy
    began = time.perf_counter()
    made = make_rule_labels(use_case, use_case.labels, use_case.labels.rules, rows)
    made.labels()
    return time.perf_counter() - began


def main() -> int:
    """Print the table; return 1 where a figure is not kept."""
    broken: list[str] = []
    print(f"{'accuracy of the labels, truth planted':40} majority  model  used")
    for setting in SETTINGS:
        by_majority, by_model, used = accuracies(setting)
        broken += problems(setting, by_majority, by_model)
        print(f"{setting.name:40} {by_majority:8.3f} {by_model:6.3f}  {used}")
    by_majority, by_model, used = accuracies(CORRELATED)
    print(f"{CORRELATED.name:40} {by_majority:8.3f} {by_model:6.3f}  {used}: fails, as it must")
    took = seconds_of_rules()
    print(f"{ITEMS:,} items through 10 rules, 5 of them in Python: {took:.1f} s, limit {LIMIT_S:g}")
    if took > LIMIT_S:
        broken.append(f"rules took {took:.1f} s, limit {LIMIT_S:g}")
    print("\n".join(broken))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
