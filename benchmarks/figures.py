"""A figure, the table of them, and the file they are kept in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

HEADINGS = ("figure", "value", "unit", "limit", "", "against")


@dataclass(frozen=True)
class Figure:
    """One measured number; small is good.

    Attributes
    ----------
    name : str
        As in `docs/`.
    value : float
        What was measured; NaN where it could not be, which is never within a limit.
    unit : str
        `s`, `GiB`, or `ratio`: a quotient of two times of the same run.
    against : str
        What it was measured beside, with that number.
    limit : float
        The most it may be.
    """

    name: str
    value: float
    unit: str
    against: str
    limit: float

    @property
    def within(self) -> bool:
        """Whether the limit is kept.

        >>> Figure("parse", 2.0, "s", "", 2.0).within
        True
        """
        return self.value <= self.limit


def over_limit(figures: Iterable[Figure]) -> list[str]:
    """Name the figures that are not within their limits.

    >>> over_limit([Figure("a", 3.0, "s", "", 2.0), Figure("b", 1.0, "s", "", 2.0)])
    ['a: 3 s, limit 2']
    """
    return [
        f"{each.name}: {each.value:.3g} {each.unit}, limit {each.limit:g}"
        for each in figures
        if not each.within
    ]


def table(figures: Sequence[Figure]) -> str:
    """Lay the figures out for a terminal, one line each."""
    rows = [HEADINGS, *(_row(each) for each in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def write(path: Path, content: object) -> None:
    """Write JSON, whole or not at all; a number that is not finite becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)


def as_json(figures: Iterable[Figure]) -> list[dict[str, object]]:
    """Give what `bench.json` holds: objects of name, value, unit, against, limit."""
    return [
        asdict(each) | {"value": round(each.value, 4) if math.isfinite(each.value) else None}
        for each in figures
    ]


def spread(seconds: Sequence[float]) -> str:
    """Give the median and the range of several times, as `against` texts show them.

    >>> spread([2.0, 1.0, 4.0])
    '2.00 s (1.00 to 4.00, n=3)'
    """
    low, high = min(seconds), max(seconds)
    return f"{median(seconds):.2f} s ({low:.2f} to {high:.2f}, n={len(seconds)})"


def _row(figure: Figure) -> tuple[str, ...]:
    mark = "ok" if figure.within else "OVER"
    value, limit = f"{figure.value:.3g}", f"{figure.limit:g}"
    return (figure.name, value, figure.unit, limit, mark, figure.against)
