"""The key `format` of what lands: how the cells of its files are written."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from include.strict import Strict


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"must be a time zone of the IANA database, like 'Europe/Berlin' or 'UTC', got {name!r}"
        ) from None
    return name


def _time_format(text: str) -> str:
    moment = datetime(2013, 11, 25, 16, 47, 58)
    try:
        same_day = datetime.strptime(moment.strftime(text), text).date() == moment.date()
    except ValueError:
        same_day = False
    if not same_day or "%z" in text or "%Z" in text:
        raise ValueError(
            "must say year, month and day in Python's directives, and no zone, like "
            f"'%d.%m.%Y %H:%M', got {text!r}"
        )
    return text


Zone = Annotated[str, AfterValidator(_zone)]
TimeFormat = Annotated[str, AfterValidator(_time_format)]
Words = Annotated[list[str], Field(min_length=1)]


class CellRules(Strict):
    """How cells of text are read. What is not given here is exact: ISO 8601, `4.2`, `true`."""

    null_values: Words | None = Field(
        default=None,
        description="Texts that mean a missing value, as does an empty cell; blanks around a cell "
        "do not count, so ' ' stands for all cells of blanks only.",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="What begins the fraction of a number; by default '.'."
    )
    thousands: Literal[",", ".", "'", " "] | None = Field(
        default=None, description="What groups the digits of a number by three."
    )
    true_values: Words | None = Field(default=None, description="Words of a bool that is true.")
    false_values: Words | None = Field(default=None, description="Words of a bool that is false.")
    time_zone: Zone | None = Field(
        default=None,
        description="The clock that wrote the times without a zone. Of an hour that it shows twice "
        "in autumn, the first is meant.",
    )
    time_format: TimeFormat | None = Field(
        default=None,
        description="How times or dates are written, in Python's directives; by default ISO 8601.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> CellRules:
        if self.thousands is not None and self.thousands == (self.decimal or "."):
            raise ValueError(
                f"thousands and decimal must differ, got {self.thousands!r} for both. Give "
                "'decimal' too: numbers are written with '.' by default"
            )
        if (self.true_values is None) != (self.false_values is None):
            raise ValueError("true_values and false_values are given together, or neither")
        if both := set(self.true_values or ()) & set(self.false_values or ()):
            raise ValueError(f"true_values and false_values must differ, got {sorted(both)} twice")
        return self

    @property
    def given(self) -> bool:
        """Whether any rule is given."""
        return any(getattr(self, rule) is not None for rule in CellRules.model_fields)


class Format(CellRules):
    """How the files of one table are written. The ending says which kind of file it is."""

    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        default=None, description="Between cells; by default ',' in .csv and a tab in .tsv."
    )
    encoding: Literal["utf-8", "utf-16", "cp1252", "latin-1"] = "utf-8"
    undeclared: Literal["ignore", "refuse"] = Field(
        default="ignore", description="What happens to columns that the use case does not name."
    )
    columns: dict[str, CellRules] = Field(
        default_factory=dict, description="Rules of single columns, before those above."
    )

    @model_validator(mode="after")
    def _consistent_columns(self) -> Format:
        for name in self.columns:
            self.of(name)
        return self

    def of(self, column: str) -> CellRules:
        """Return the rules of one column: its own, and where they say nothing the table's."""
        own = self.columns.get(column, CellRules())
        merged = {
            rule: getattr(self, rule) if getattr(own, rule) is None else getattr(own, rule)
            for rule in CellRules.model_fields
        }
        return CellRules(**merged)
