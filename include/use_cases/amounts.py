"""How much of a metric: in its own unit, or as a share of what a model is worth.

A threshold of 0.02 means much for ROC AUC and nothing for a mean error in minutes. A share means
the same for both: `10%` is a tenth of the skill, the distance between the metric of a model and
that of the dummy, which ignores the features, on the same rows.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreSchema, core_schema

_SHARE = re.compile(r"^(\d+(?:\.\d+)?) ?%$")


@dataclass(frozen=True)
class Amount:
    """A number in the metric's unit, or a share of the skill.

    Attributes
    ----------
    number : float
        At least 0: in the metric's unit, or per cent of the skill.
    is_share : bool
        Which of the two.

    Examples
    --------
    >>> Amount.of("10%").within(skill=0.25)
    0.025
    >>> Amount.of(0.5).within(skill=0.25)
    0.5
    """

    number: float
    is_share: bool

    @classmethod
    def of(cls, written: object) -> Amount:
        """Read an amount as the YAML has it, such as ``0.02`` or ``"10%"``.

        Raises
        ------
        ValueError
            It is neither.
        """
        if isinstance(written, Amount):
            return written
        if isinstance(written, str) and (match := _SHARE.match(written)):
            return cls(float(match[1]), is_share=True)
        if isinstance(written, int | float) and not isinstance(written, bool):
            number = float(written)
            if math.isfinite(number) and number >= 0:
                return cls(number, is_share=False)
        raise ValueError(
            "must be a number >= 0 in the metric's unit, such as 0.02, or a share of the model's "
            f"advantage over the dummy, such as '10%', got {written!r}. Correct it."
        )

    def within(self, skill: float) -> float:
        """Return the amount in the metric's unit, given the skill in that unit."""
        return self.number / 100 * abs(skill) if self.is_share else self.number

    def __str__(self) -> str:
        """Write it as the YAML does."""
        return f"{self.number:g}%" if self.is_share else f"{self.number:g}"

    @property
    def plain(self) -> float | str:
        """What YAML and JSON hold."""
        return str(self) if self.is_share else self.number

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> CoreSchema:
        """Tell pydantic how to read and write it."""
        written = core_schema.union_schema(
            [
                core_schema.float_schema(ge=0),
                core_schema.str_schema(pattern=_SHARE.pattern),
            ]
        )
        return core_schema.no_info_plain_validator_function(
            cls.of,
            json_schema_input_schema=written,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda one: one.plain),
        )
