"""What every model of the configuration shares: frozen, unknown keys refused, nothing coerced."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Base of the configuration models.

    `strict`: `trials: "3"` or `trials: yes` is an error, not a guess.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        populate_by_name=True,
        use_attribute_docstrings=False,
    )
