"""The section `train`: how rows are split, what is tried, and by which metric."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.use_cases.base import Strict
from include.use_cases.spaces import Candidate


class Split(Strict):
    """How rows are split: the newest labelled rows are held out, the others give folds."""

    by: str = Field(description="The timestamp column that orders rows.")
    holdout: Literal["last_partition"] = "last_partition"
    folds: Annotated[int, Field(ge=2, le=10)] = 3


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


class Train(Strict):
    """What is trained, what for, and on how much."""

    metric: str
    split: Split
    candidates: Annotated[list[Candidate], Field(min_length=1)] = Field(
        description="Simplest first: the first that is at most one standard error worse than the "
        "best is kept."
    )
    tuning: Tuning = Tuning()
    min_partitions: Annotated[int, Field(ge=2)] = Field(
        default=2,
        description="Labelled partitions needed before a first training. Held out are the last "
        "one, or the last ten days where partitions are days and deploy.resample_by is 'day': then "
        "a first training needs eleven.",
    )
    max_rows: Annotated[int, Field(ge=1000)] = Field(
        default=200_000, description="At most so many training rows, the newest first."
    )
    mixed_definitions: Literal["refuse", "name"] = Field(
        default="refuse",
        description="What happens when partitions of a training were made by another definition "
        "than today's (an edited feature, cleaning rule, suite or label rule): 'refuse' the "
        "training, or train and 'name' them in the model.",
    )
