"""The section `labels`: where they are from, and when they are final."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from include.use_cases.base import Strict
from include.use_cases.sections.values import Columns, Duration, Pattern, Share


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
