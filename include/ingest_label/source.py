"""A landed file as messages name it, and the rules for its cells."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.ingest_label.advice import wanted
from include.use_cases.schema import ColumnType
from include.use_cases.sections.format import CellRules, Format


@dataclass(frozen=True)
class Source:
    """What a message about a cell needs to say where it is, and how it could be accepted.

    Attributes
    ----------
    path : str
        Of the file.
    format : Format
        How its cells are written.
    key : str
        Where the format stands in `use_case.yaml`.
    header_rows : int
        Lines before the first row of data: a message counts from the top of the file.
    """

    path: str
    format: Format = field(default_factory=Format)
    key: str = "ingest.format"
    header_rows: int = 1

    def rules(self, column: str) -> CellRules:
        """Return the rules for a column's cells."""
        return self.format.of(column)

    def advice(self, column: str, kind: ColumnType, cell: str) -> str:
        """Say what would accept a cell: lines of YAML, or another type.

        Parameters
        ----------
        column, kind : str
            What the cell should have been.
        cell : str
            As it was found.

        Examples
        --------
        >>> Source("a.csv").advice("price", "float64", "?")
        "Where '?' means that the value is missing, write `null_values: ['?']` for the column \
under ingest.format.columns.price in use_case.yaml."
        """
        found = wanted(kind, cell, self.rules(column))
        if found is None:
            return (
                "Correct the file and land it again, or correct the column's type in use_case.yaml."
            )
        reason, rule = found
        if rule.startswith("type "):
            return f"{reason} give the column the {rule} in use_case.yaml."
        where = f"{self.key}.columns.{column}"
        return f"{reason} write `{rule}` for the column under {where} in use_case.yaml."
