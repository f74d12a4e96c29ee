"""The section `train`: how rows are split, what is tried, and by which metric."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from include.strict import Strict
from include.use_cases.sections.labels import text_of
from include.use_cases.spaces import Candidate

RANDOM, GROUP = "random", "group:"


class Split(Strict):
    """How rows are split: some labelled rows are held out, the others give folds."""

    by: str = Field(
        description="A timestamp or date column: the newest partitions are held out, and each fold "
        "is judged by what was before it. Or 'random', for rows that have no time. Or "
        "'group:<column>', where rows that share it, such as a customer, stay together."
    )
    holdout: Annotated[float, Field(ge=0.05, le=0.5)] = Field(
        default=0.2,
        description="Not for a split by time: the share that is held out. The same rows or groups "
        "in each training, so that no model is judged on what an earlier one has learned.",
    )
    folds: Annotated[int, Field(ge=2, le=10)] = 3

    @property
    def time(self) -> str | None:
        """The time column that orders rows; None where they are split at random or by group."""
        return None if self.by == RANDOM or self.group else self.by

    @property
    def group(self) -> str | None:
        """The column whose rows stay together."""
        return self.by.removeprefix(GROUP) if self.by.startswith(GROUP) else None


class Tuning(Strict):
    """How many configurations are tried for each candidate, and how they are chosen."""

    trials: Annotated[int, Field(ge=1, le=500)] = Field(
        default=10,
        description="For each candidate. Fewer than 6 are drawn at once; of more, the last two "
        "thirds are drawn from the results of those before, in two rounds.",
    )
    sampler: Literal["tpe", "random"] = "tpe"
    random_state: int = 0
    min_completed_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="A training goes on without the trials that failed, if at least this share "
        "of all trials completed.",
    )


def _class_weight(given: object) -> object:
    """Check both forms, with the names of classes as `labels.classes` has them."""
    if given == "balanced" or given is None:
        return given
    if not isinstance(given, dict):
        raise ValueError(
            f"must be 'balanced' or a mapping like {{1: 5.0, 0: 1.0}}, got {given!r}. Write it as "
            "one of them, or remove it."
        )
    for name, weight in given.items():
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < inf:
            raise ValueError(
                f"must map classes to numbers above 0, got {name}: {weight!r}. Correct it."
            )
    return {text_of(name): float(weight) for name, weight in given.items()}


ClassWeight = Annotated[
    Literal["balanced"] | dict[str, float] | None, BeforeValidator(_class_weight)
]


class Train(Strict):
    """What is trained, what for, and on how much."""

    metric: str = Field(
        description="One of the task's, or own:<module>.<function> for a function of the use "
        "case's own package, such as own:metrics.profit: it takes truth and score, two arrays, and "
        "returns a number, NaN where it is not defined."
    )
    greater_is_better: bool | None = Field(
        default=None, description="For an own metric alone, and needed there."
    )
    split: Split
    candidates: Annotated[list[Candidate], Field(min_length=1)] = Field(
        description="Simplest first: the first that is at most one standard error worse than the "
        "best is kept."
    )
    tuning: Tuning = Tuning()
    min_partitions: Annotated[int, Field(ge=1)] = Field(
        default=1,
        description="Labelled partitions needed before a first training. A split by time holds "
        "out the last one, and so needs two; or the last ten days where partitions are days and "
        "deploy.resample_by is 'day': then it needs eleven.",
    )
    max_rows: Annotated[int, Field(ge=1000)] = Field(
        default=200_000, description="At most so many training rows, the newest first."
    )
    class_weight: ClassWeight = Field(
        default=None,
        description="How much rows of each class count when a model is fitted: 'balanced', so that "
        "all classes weigh alike, or numbers by class, 1 for those that are not named. Not in "
        "metrics. Probabilities of the model are then no shares of rows.",
    )
    sample_weight: str | None = Field(
        default=None,
        description="A numeric column of ingest.columns, 0 or more in each row: how much a row "
        "counts when a model is fitted and when it is judged. The model does not see it, unless "
        "features list it.",
    )
    label_confidence: Literal["weight", "ignore"] = Field(
        default="ignore",
        description="'weight': a row counts by the confidence of its label when a model is fitted, "
        "and when candidates are compared in folds; not in the holdout. For labels of rules or "
        "people: landed ones have confidence 1.",
    )
    mixed_definitions: Literal["refuse", "name"] = Field(
        default="refuse",
        description="What happens when partitions of a training were made by another definition "
        "than today's (an edited feature, cleaning rule, suite or label rule): 'refuse' the "
        "training, or train and 'name' them in the model.",
    )
