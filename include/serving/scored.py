"""The scores of rows, and where the model had to do without something that a row should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from include.modelling.features import MISSING
from include.modelling.scoring import Floats
from include.runtime.encoding import columns_of
from include.serving.rejected import RefusedValue
from include.use_cases.sections.operation import Serve

Places: TypeAlias = npt.NDArray[np.intp]
RowsBy: TypeAlias = Mapping[str, Sequence[int] | Places]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of some rows.

    Attributes
    ----------
    scores : ndarray
        What `include.modelling.scoring.score_rows` gives.
    unknown_categories : mapping of str to sequence of int
        By categorical feature, the rows whose category no training row had. A missing value is
        none.
    failed_joins : mapping of str to sequence of int
        By reference, the rows for which it has no row.
    """

    scores: Floats
    unknown_categories: RowsBy = field(default_factory=dict)
    failed_joins: RowsBy = field(default_factory=dict)

    def split(self, counts: Sequence[int]) -> list[Scored]:
        """Give each request its part; rows are counted from its first one on."""
        ends = np.cumsum(counts)
        parts = np.split(self.scores, ends[:-1])
        if not self.unknown_categories and not self.failed_joins:
            return [Scored(scores) for scores in parts]
        return [
            Scored(
                scores,
                _between(self.unknown_categories, int(end) - count, int(end)),
                _between(self.failed_joins, int(end) - count, int(end)),
            )
            for scores, count, end in zip(parts, counts, ends, strict=True)
        ]

    def check(self, serve: Serve) -> None:
        """Refuse what the use case says is to be refused.

        Raises
        ------
        RefusedValue
            Names the first such row.
        """
        if serve.unknown_category == "refuse":
            for feature, rows in self.unknown_categories.items():
                words = f"Row {rows[0]}: no training row had this category of feature {feature!r}."
                raise RefusedValue(words, "unknown_categories", feature)
        if serve.failed_join == "refuse":
            for reference, rows in self.failed_joins.items():
                words = f"Row {rows[0]}: reference {reference!r} has no row for it."
                raise RefusedValue(words, "failed_joins", reference)


def unknown_categories(
    known: Mapping[str, frozenset[str]], features: Mapping[str, Any]
) -> dict[str, Places]:
    """Find categories that are not among the known ones, as places by feature."""
    found = {}
    for name, texts in columns_of(features, list(known)).items():
        there = known[name]
        new = [at for at, text in enumerate(texts) if text not in there and text != MISSING]
        if new:
            found[name] = np.array(new, dtype=np.intp)
    return found


def joined(rows: Sequence[Scored]) -> Scored:
    """Put rows that were scored one by one together."""
    return Scored(
        np.concatenate([one.scores for one in rows]),
        _places_of([one.unknown_categories for one in rows]),
        _places_of([one.failed_joins for one in rows]),
    )


def _places_of(found: Sequence[RowsBy]) -> dict[str, list[int]]:
    names = dict.fromkeys(name for each in found for name in each)
    return {name: [row for row, each in enumerate(found) if name in each] for name in names}


def _between(rows_by: RowsBy, start: int, end: int) -> dict[str, list[int]]:
    found = {
        name: [int(row) - start for row in rows if start <= row < end]
        for name, rows in rows_by.items()
    }
    return {name: rows for name, rows in found.items() if rows}
