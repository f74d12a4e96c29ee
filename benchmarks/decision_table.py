"""A row of the table of decisions: a measured figure, its standard error, and its limit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import write

BEGIN = "<!-- written by benchmarks.decisions: begin -->"
END = "<!-- written by benchmarks.decisions: end -->"
HEADINGS = ("what is counted", "before", "now", "limit", "", "n")


@dataclass(frozen=True)
class Row:
    """One figure, now and before, on the same seeds.

    Attributes
    ----------
    name : str
        Stable.
    words : str
        What is counted.
    now, before : float or None
        A share of cases, or a mean in a metric's unit. None where it was not measured.
    now_se, before_se : float or None
        Standard errors.
    limit : float or None
        Of `now`; None where it is only reported.
    sense : {'at most', 'at least'}
        How to read the limit.
    share : bool
        Whether the figures are shares, shown in per cent.
    n, n_before : int
        Cases, or independent groups of them.
    code : str
        The commit that was measured; empty where it was not.
    """

    name: str
    words: str
    now: float | None
    now_se: float | None
    before: float | None
    before_se: float | None
    limit: float | None
    sense: str
    share: bool
    n: int
    n_before: int
    code: str

    @property
    def measured(self) -> bool:
        """Whether it was."""
        return bool(self.code)

    @property
    def mark(self) -> str:
        """Say whether the limit is kept: `ok`, `OVER`, `UNDER`; nothing where there is none."""
        if not self.measured:
            return "not run"
        if self.now is None or self.limit is None:
            return ""
        return self._against(self.now)

    @property
    def mark_before(self) -> str:
        """The same of the method before."""
        return "" if self.before is None or self.limit is None else self._against(self.before)

    def _against(self, value: float) -> str:
        assert self.limit is not None  # noqa: S101  for mypy: asked only where it is there
        if self.sense == "at most":
            return "ok" if value <= self.limit else "OVER"
        return "ok" if value >= self.limit else "UNDER"


def not_run(
    name: str, words: str, limit: float | None = None, sense: str = "at most", share: bool = True
) -> Row:
    """Keep the place of a row that was not measured."""
    return Row(name, words, None, None, None, None, limit, sense, share, 0, 0, "")


def share_row(
    name: str,
    words: str,
    now: Sequence[bool],
    before: Sequence[bool],
    limit: float | None,
    sense: str,
    code: str,
) -> Row:
    """Make a row of how often something happened, now and before.

    The standard error is binomial, with two cases of either kind added, so that 0 of 200 is not
    taken for certain (Agresti & Coull, American Statistician 52, 1998, 119-126).
    """
    figures: list[float] = []
    for cases in (now, before):
        count, n = sum(cases), len(cases)
        p = (count + 2) / (n + 4)
        figures += [count / n, math.sqrt(p * (1 - p) / (n + 4))]
    return Row(name, words, *figures, limit, sense, True, len(now), len(before), code)


def markdown(rows: Sequence[Row]) -> str:
    """Write the table, as `docs/decisions.md` carries it."""
    lines = [HEADINGS, ("---", "---:", "---:", "---:", "---", "---:")]
    for row in rows:
        before, now = _shown(row.before, row.before_se, row), _shown(row.now, row.now_se, row)
        was = f"{before} {row.mark_before}" if row.mark_before not in ("", "ok") else before
        lines.append((row.words, was, now, _limit(row), row.mark, f"{row.n:,}"))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def text(rows: Sequence[Row]) -> str:
    """Write the table for a terminal, one line each."""
    return "\n".join(
        f"{row.name:24} now {_shown(row.now, row.now_se, row):>16}  before "
        f"{_shown(row.before, row.before_se, row):>16}  limit {_limit(row):>6} {row.mark:7} "
        f"n={row.n}"
        for row in rows
    )


def load(path: Path) -> list[Row]:
    """Read what `save` wrote; nothing where there is no such file."""
    if not path.exists():
        return []
    return [Row(**one) for one in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def save(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as JSON."""
    write(path, {"rows": [asdict(row) for row in rows]})


def put_into(document: Path, rows: Sequence[Row]) -> None:
    """Replace the table of a document, between its two marks."""
    said = document.read_text(encoding="utf-8")
    head, found, rest = said.partition(BEGIN)
    _, closed, tail = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"{document}: must have the lines {BEGIN!r} and {END!r}. Add them.")
    document.write_text(f"{head}{BEGIN}\n\n{markdown(rows)}\n\n{END}{tail}", encoding="utf-8")


def _shown(value: float | None, error: float | None, row: Row) -> str:
    if value is None:
        return "-"
    if row.share:
        return f"{value:.1%}" + ("" if error is None else f" ± {100 * error:.1f}")
    return f"{value:+.4f}" + ("" if error is None else f" ± {error:.4f}")


def _limit(row: Row) -> str:
    if row.limit is None:
        return ""
    sign = "≤" if row.sense == "at most" else "≥"
    return f"{sign} {row.limit:.0%}" if row.share else f"{sign} {row.limit:+.4f}"
