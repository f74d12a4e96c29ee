"""The section `ingest`: what lands where, and what it must look like; and `migrations`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, WithJsonSchema

from include.strict import Strict
from include.use_cases.sections.format import Format
from include.use_cases.sections.values import TIMES, Columns, ColumnType, Cron, Grain, Pattern

_COLUMNS_OR_FILE = {
    "anyOf": [
        TypeAdapter(Columns).json_schema(),
        {"type": "string", "pattern": r"^[a-z][a-z0-9_]*\.yaml$"},
    ]
}
"""What an editor accepts; the loader puts the file's content in before the model is made."""


class Partition(Strict):
    """How rows are put into partitions: by the UTC month or day of a time column, or as landed."""

    column: str | None = Field(
        default=None,
        description="The timestamp or date that a row belongs to. Without it rows have no time: "
        "what lands in the folder of a month or day is that partition, such as a snapshot of all "
        "customers.",
    )
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
    format: Format = Format()
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
        timed = self.as_of or any(self.columns.get(name) in TIMES for name in self.key)
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
    columns: Annotated[Columns, WithJsonSchema(_COLUMNS_OR_FILE)] = Field(
        description="Columns that are read, with their types; or the file beside this one that "
        "holds them, like columns.yaml."
    )
    format: Format = Format()
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
