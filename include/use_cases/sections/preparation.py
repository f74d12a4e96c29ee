"""The sections `validate`, `clean` and `features`: from landed rows to what a model sees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.strict import Strict
from include.use_cases.sections.values import Loose, Share


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
