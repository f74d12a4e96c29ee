"""What an `expectations.yaml` may say. Great Expectations itself is too heavy to check it here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from include.use_cases.schema import UseCase

_COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")


class Expectation(BaseModel):
    """One expectation: its name, what a failure does, and its own arguments as further keys."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    expectation: Annotated[str, Field(pattern=r"^expect_[a-z0-9_]+$")]
    on_failure: Literal["quarantine", "refuse"]

    @property
    def arguments(self) -> dict[str, Any]:
        """The expectation's own arguments."""
        return dict(self.model_extra or {})

    @property
    def columns(self) -> list[str]:
        """The columns that it speaks of."""
        found: list[str] = []
        for argument in _COLUMN_ARGUMENTS:
            value = self.arguments.get(argument, [])
            found += [value] if isinstance(value, str) else list(value)
        return found

    def __str__(self) -> str:
        """Such as `expect_column_values_to_not_be_null(tailnum)`."""
        return f"{self.expectation}({', '.join(self.columns)})"


class Suite(BaseModel):
    """All expectations of one use case, in the order of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    expectations: Annotated[list[Expectation], Field(min_length=1)]


def problems_of_suite(suite: Suite, use_case: UseCase) -> Iterator[str]:
    """Tell what the use case's columns, or a quarantine of rows, contradict."""
    known = sorted(use_case.ingest.columns)
    for number, expectation in enumerate(suite.expectations):
        where = f"expectations.{number} {expectation.expectation}"
        for column in expectation.columns:
            if column not in known:
                yield f"{where} names column {column!r}, which is not one of {known}."
        if expectation.on_failure == "quarantine" and "mostly" in expectation.arguments:
            yield (
                f"{where} has 'mostly', which a quarantine of single rows cannot mean. Remove "
                "it, or "
                "use 'on_failure: refuse'; validate.max_quarantined_share bounds the quarantine."
            )
