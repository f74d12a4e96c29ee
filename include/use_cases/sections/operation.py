"""The sections `deploy`, `monitor`, `serve` and `retrain`: what decides about a model."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.strict import Strict
from include.use_cases.amounts import Amount
from include.use_cases.sections.values import Count, Duration, Loose

Signal = Literal["drift", "performance", "age", "schedule", "new_rows", "new_labels", "corrections"]


class Slices(Strict):
    """Groups of rows in which a challenger may not be surely worse than the champion."""

    columns: Annotated[list[str], Field(min_length=1)]
    max_drop: Amount = Amount.of("25%")
    min_rows: Annotated[int, Field(ge=30)] = 500


class Approval(Strict):
    """A person's approval, without which nothing is promoted."""

    approvers: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = Field(
        description="Names at Airflow of those whose answer counts. Airflow asks for the right to "
        "answer too: on a cluster the role 'approver'.",
    )
    within: Duration = Field(
        default=timedelta(days=3),
        description="After so long without an answer nothing is promoted; '3d' span a weekend.",
    )

    @field_validator("within")
    @classmethod
    def _an_hour_to_a_month(cls, value: timedelta) -> timedelta:
        if not timedelta(hours=1) <= value <= timedelta(days=30):
            raise ValueError(f"must be from '1h' to '30d', got {value}")
        return value


class Deploy(Strict):
    """When a challenger is promoted: surely better, or fresher and not surely worse.

    Amounts are in the metric's unit, or a share of the champion's advantage over the dummy.
    """

    min_effect: Amount = Field(
        default=Amount.of("2%"),
        description="A better configuration must surely gain more than this.",
    )
    margin: Amount = Field(
        default=Amount.of("10%"),
        description="A fresher model may cost up to this: it must surely lose less.",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resample_by: str | None = Field(
        default=None,
        description="Rows that share it are not independent: 'day' (the UTC day of "
        "train.split.by), a column of ingest.key or features.categorical such as a customer, or "
        "'rows'. By default 'day' in a split by time, else the group of train.split.by or 'rows'.",
    )
    origins: Annotated[int, Field(ge=2, le=10)] = Field(
        default=3,
        description="Configurations are compared by refitting them at so many moments of the "
        "holdout, each time judged on what follows.",
    )
    refit: bool = Field(
        default=True,
        description="Fit the accepted configuration on the holdout too, and serve that model.",
    )
    slices: Slices | None = None
    approval: Approval | None = Field(
        default=None,
        description="Ask a person before each promotion; without it the verdict decides.",
    )


class Monitor(Strict):
    """What counts as drift and as decay."""

    max_false_alarm_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    min_effect: Annotated[float, Field(gt=0)] = Field(
        default=0.1,
        description="Jensen-Shannon distance from which a significant change counts as drift.",
    )
    max_metric_drop: Amount = Field(
        default=Amount.of("10%"),
        description="How much worse than on its holdout the champion may do on arrived outcomes: "
        "in the metric's unit, or a share of its advantage over the dummy there.",
    )
    min_rows: Annotated[int, Field(ge=30)] = 200
    sample_rows: Annotated[int, Field(ge=200)] = 5_000


class Serve(Strict):
    """What the server does with rows that are not like those of training."""

    out_of_range: Literal["refuse", "flag"] = Field(
        default="refuse",
        description="A value outside clean.noise: 'refuse' the request with 400, or answer as if "
        "the value were missing and 'flag' it. Values that are possible, but outside the range "
        "seen at training, are always answered and flagged. A change takes effect with the next "
        "model.",
    )
    unknown_category: Literal["refuse", "flag"] = Field(
        default="flag",
        description="A category that no training row had, sent or made by a reference or `derive`: "
        "'refuse' the request with 400, or answer and 'flag' it. A missing value is none.",
    )
    failed_join: Literal["refuse", "flag"] = Field(
        default="flag",
        description="A row for which a reference has no row, so that its columns are missing: "
        "'refuse' the request with 400, or answer and 'flag' it.",
    )


class Expect(Strict):
    """How often things come. What is late raises an alert; nothing else depends on it."""

    rows: Duration | None = Field(
        default=None, description="Rows come at least so often, by when they were published."
    )
    labels: Duration | None = Field(
        default=None, description="Labels come at least so often, by when they were published."
    )
    champion: Duration | None = Field(
        default=None, description="A new champion comes at least so often."
    )


class Retrain(Strict):
    """When a training is asked for. Times are partition dates, so a replay decides alike."""

    when: Annotated[list[Signal], Field(min_length=1)] = Field(
        description="Signals, of which one is enough: 'performance' (outcomes worse than on the "
        "holdout) and 'drift' (of predictions), in k_of_n windows; 'age' of the champion; "
        "'schedule', one training every so long; 'new_rows', rows that it does not know; "
        "'new_labels', labels that it does not know, also of rows that it does; 'corrections', "
        "labels that were corrected since. A person may always ask."
    )
    k_of_n: Annotated[tuple[Count, Count], Loose] = Field(
        default=(2, 3),
        description="'performance' and 'drift' need k of the last n monitored partitions, the "
        "latest among them. A window of an earlier model counts while its partition is newer than "
        "all that the champion knows.",
    )
    max_age: Duration = timedelta(days=180)
    every: Duration = Field(
        default=timedelta(days=28),
        description="'schedule': a training so long after the last one that was asked for, "
        "whatever came of it. 28 days, the shortest month: monthly partitions give one each month.",
    )
    new_rows: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="'new_rows': of the rows that a training would use now, the share that the "
        "champion does not know. Half is our choice: errors fall with a power of the number of "
        "rows, so what counts is a share, and a smaller one is seldom seen in a metric.",
    )
    new_labels: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05,
        description="'new_labels': of the rows that a training would use now, the share that had "
        "no label when the champion was trained. People label a partition round by round, and each "
        "round is considered. One in twenty is our choice.",
    )
    corrections: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.01,
        description="'corrections': of the rows that a training would use now, the share whose "
        "label is another one than the champion was trained with. One in a hundred is our choice: "
        "fewer wrong labels than most data sets have (Northcutt et al. 2021 find 3 % on average).",
    )
    cooldown: Duration = timedelta(days=7)
    monthly_budget: Count = 4

    @model_validator(mode="after")
    def _k_within_n(self) -> Retrain:
        if self.k_of_n[0] > self.k_of_n[1]:
            raise ValueError(f"k_of_n needs k <= n, got {list(self.k_of_n)}")
        return self
