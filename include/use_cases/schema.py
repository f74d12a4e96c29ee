"""What a `use_case.yaml` may say: one strict, frozen pydantic model.

Unknown keys are refused, so a misspelt key is an error and never a silently ignored wish. Every
key here is read by a phase: a key that does nothing does not exist.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator
from pydantic import Strict as Strictness

from include.use_cases.amounts import Amount
from include.use_cases.base import Strict
from include.use_cases.coherence import problems_of
from include.use_cases.spaces import ESTIMATORS, METRICS, Candidate, Span, Task

__all__ = ["ESTIMATORS", "METRICS", "Candidate", "Columns", "Grain", "Span", "Task", "UseCase"]

ColumnType = Literal["string", "int64", "float64", "bool", "timestamp"]
Grain = Literal["day", "month"]
Signal = Literal["drift", "performance", "age", "schedule", "new_rows", "corrections"]

_DURATION = re.compile(r"^(\d+)([dh])$")


def _duration(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.match(value)
        if match is None:
            raise ValueError(f"must look like '7d' or '12h', got {value!r}")
        number, unit = int(match[1]), match[2]
        return timedelta(days=number) if unit == "d" else timedelta(hours=number)
    return value


def _an_hour_to_a_month(value: timedelta) -> timedelta:
    if not timedelta(hours=1) <= value <= timedelta(days=30):
        raise ValueError(f"must be from '1h' to '30d', got {_duration_text(value)!r}")
    return value


def _duration_text(value: timedelta) -> str:
    hours = int(value.total_seconds() // 3600)
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=str),
    PlainSerializer(_duration_text, return_type=str),
]
Count = Annotated[int, Field(ge=1)]
HELD_OUT_DAYS = 10
"""How many independent days the gate needs: `include.modelling.uncertainty.MIN_BLOCKS`, which is
not imported here, because it would load scipy into every Dag file."""
Columns = dict[str, ColumnType]
Share = Annotated[float, Field(ge=0, le=1)]
# Under the landing root, so neither absolute nor with `..`: a use case reads only what landed.
_STEP = r"([\w*=-]|\{partition\})([\w*=.-]|\{partition\})*"
Pattern = Annotated[
    str,
    Field(
        pattern=rf"^{_STEP}(/{_STEP})+$",
        description="Files under the landing root; '{partition}' stands for the month or day, "
        "like 'flights/{partition}/*.csv'.",
    ),
]
Cron = Annotated[str, Field(pattern=r"^(\S+ ){4}\S+$")]
# YAML has lists only; the rest of a pair is checked as strictly as everything else.
Loose = Strictness(strict=False)


class Partition(Strict):
    """How rows are put into partitions: by the UTC month or day of one timestamp column."""

    column: str
    grain: Grain = "month"


class Reference(Strict):
    """A table that rows are joined with: whole (`planes/*.csv`) or landing per partition.

    One that lands per partition and has no time in its key is a snapshot: rows are joined with the
    snapshot of their own partition.
    """

    landing: Pattern
    key: Annotated[
        list[str],
        Field(
            min_length=1,
            description="Columns by which rows are joined with it, also among features.inputs.",
        ),
    ]
    columns: Columns
    as_of: str | None = Field(
        default=None,
        description="A timestamp column from which a row holds, until a newer row of its key. Rows "
        "are joined with what held at their own time. Without it each key is there once.",
    )

    @property
    def partitioned(self) -> bool:
        """Whether it lands partition by partition."""
        return "{partition}" in self.landing

    @property
    def snapshot(self) -> bool:
        """Whether each partition is a table of its own, with the same keys again."""
        timed = self.as_of or any(self.columns.get(name) == "timestamp" for name in self.key)
        return self.partitioned and not timed

    @property
    def unique(self) -> list[str]:
        """The columns that name one of its rows."""
        return [*self.key, self.as_of] if self.as_of else self.key

    @property
    def values(self) -> list[str]:
        """The columns that are joined to the rows."""
        return [name for name in self.columns if name not in self.unique]


class Corrections(Strict):
    """Which of several rows with the same key stands."""

    by: str = Field(
        default="landed",
        description="'landed': the row that landed last, whatever its file is called. Or a column "
        "of ingest.columns: the row with its highest value.",
    )

    @property
    def column(self) -> str | None:
        """The column that decides; None where the time of landing does."""
        return None if self.by == "landed" else self.by


class Ingest(Strict):
    """Where files land, what they must look like, and when to look."""

    landing: Pattern
    partition: Partition
    key: Annotated[list[str], Field(min_length=1, description="Columns that name one row.")]
    columns: Columns
    schedule: Cron | None = Field(
        default=None, description="Cron, UTC, at which to look for landed files."
    )
    references: dict[str, Reference] = Field(default_factory=dict)
    corrections: Corrections = Corrections()


class Migration(Strict):
    """A change of one column's type, in every table that has the column.

    All partitions are converted in one commit when the first is published with the new type.
    """

    column: str = Field(description="Name of the column, in whatever table has it.")
    before: ColumnType = Field(description="The type that it had.")
    after: ColumnType = Field(description="The type that it has now, in ingest.columns too.")
    misfits: Literal["refuse", "missing"] = Field(
        default="refuse",
        description="What becomes of a value that the new type cannot hold: 'refuse' the "
        "migration, or make the value 'missing'.",
    )


class Labels(Strict):
    """Labels read off outcomes that land later than the rows they belong to."""

    strategy: Literal["outcome"] = "outcome"
    landing: Pattern
    columns: Columns
    from_: str = Field(alias="from", description="The outcome column it is read off.")
    rule: Annotated[str, Field(pattern=r"^(>=|>|<=|<|==) -?\d+(\.\d+)?$")] | None = Field(
        default=None, description="Makes a class (1 or 0) of the outcome; absent for regression."
    )
    mature_after: Duration = Field(
        default=timedelta(0),
        description="How long after the end of a partition its outcomes are final, in the time of "
        "partitions: so much must have landed after it.",
    )
    min_coverage: Share = Field(
        default=0.9,
        description="Share of a partition's rows that must have a label before it is learned from.",
    )


class Validate(Strict):
    """The Great Expectations suite, and how many rows it may set aside before the batch fails."""

    suite: str = "expectations.yaml"
    max_quarantined_share: Share = 0.05


class Clean(Strict):
    """What happens to valid rows."""

    missing: dict[str, Literal["drop"] | float | str] = Field(
        default_factory=dict,
        description="Column: 'drop' the row, or the value to fill in. Others stay missing.",
    )
    noise: dict[str, Annotated[tuple[float, float], Loose]] = Field(
        default_factory=dict,
        description="Column: (lowest, highest) physically possible value; others become missing.",
    )


class Features(Strict):
    """What the model sees. `features.py` beside the YAML may derive columns; these are kept."""

    inputs: Annotated[list[str], Field(min_length=1)] = Field(
        description="Clean columns a request carries: all that is known at prediction time."
    )
    numeric: list[str] = Field(default_factory=list)
    categorical: list[str] = Field(default_factory=list)
    references: list[str] = Field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The estimator's columns, numeric first."""
        return [*self.numeric, *self.categorical]


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
    within: Annotated[Duration, AfterValidator(_an_hour_to_a_month)] = Field(
        default=timedelta(days=3),
        description="After so long without an answer nothing is promoted; '3d' span a weekend.",
    )


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
    resample_by: str = Field(
        default="day",
        description="Rows that share it are not independent: 'day' (the UTC day of "
        "train.split.by), a column of ingest.key or features.categorical such as a customer, or "
        "'rows'.",
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
    """What the server does with request values that cleaning would treat as noise."""

    out_of_range: Literal["refuse", "flag"] = Field(
        default="refuse",
        description="A value outside clean.noise: 'refuse' the request with 400, or answer as if "
        "the value were missing and 'flag' it. Values that are possible, but outside the range "
        "seen at training, are always answered and flagged. A change takes effect with the next "
        "model.",
    )


class Retrain(Strict):
    """When a training is asked for. Times are partition dates, so a replay decides alike."""

    when: Annotated[list[Signal], Field(min_length=1)] = Field(
        description="Signals, of which one is enough: 'performance' (outcomes worse than on the "
        "holdout) and 'drift' (of predictions), in k_of_n windows; 'age' of the champion; "
        "'schedule', one training every so long; 'new_rows', rows that it does not know; "
        "'corrections', labels that were corrected since. A person may always ask."
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


class UseCase(Strict):
    """One prediction problem, whole."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(
        description="Given by the folder; not written in the YAML."
    )
    task: Task
    description: str
    owner: str
    ingest: Ingest
    labels: Labels | None = None
    validation: Validate = Field(default=Validate(), alias="validate")
    clean: Clean = Clean()
    features: Features
    train: Train
    deploy: Deploy = Deploy()
    monitor: Monitor = Monitor()
    serve: Serve = Serve()
    retrain: Retrain
    migrations: list[Migration] = Field(
        default_factory=list,
        description="Columns whose type was changed, oldest first. Keep them as long as a lake "
        "may still hold the former type.",
    )

    @model_validator(mode="after")
    def _coherent(self) -> UseCase:
        """Check what one section says against the others."""
        problems = problems_of(self)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def time_input(self) -> str | None:
        """The input that says when a row was: it is joined with references as they were then."""
        times = (self.train.split.by, self.ingest.partition.column)
        return next((name for name in times if name in self.features.inputs), None)

    @property
    def held_out(self) -> int:
        """How many partitions are held out: enough for the gate to have independent days."""
        daily = self.ingest.partition.grain == "day" and self.deploy.resample_by == "day"
        return HELD_OUT_DAYS if daily else 1

    @property
    def partitions_needed(self) -> int:
        """How many labelled partitions a training needs."""
        return max(self.train.min_partitions, self.held_out + 1)

    def landing_of(self, table: str) -> str | None:
        """Where the files of a table land; None for the labels of a use case without any.

        Parameters
        ----------
        table : {'raw', 'labels', 'reference_<name>'}
            A table that is filled from landed files.
        """
        if table == "raw":
            return self.ingest.landing
        if table == "labels":
            return self.labels.landing if self.labels else None
        return self.ingest.references[table.removeprefix("reference_")].landing

    def with_trials(self, trials: int | None) -> UseCase:
        """Return this use case with another number of trials a candidate; None changes none."""
        if trials is None:
            return self
        tuning = self.train.tuning.model_copy(update={"trials": trials})
        train = self.train.model_copy(update={"tuning": tuning})
        return self.model_copy(update={"train": train})
