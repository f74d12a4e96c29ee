"""Write the table of algorithms of docs/use-case.md from include/algorithms (`make schema`)."""

from __future__ import annotations

from pathlib import Path

from include.algorithms import ALGORITHMS, Algorithm, Span, WholeSpan

PATH = Path(__file__).parents[1] / "docs" / "use-case.md"
BEGIN, END = "<!-- algorithms: `make schema` -->\n", "<!-- end of algorithms -->\n"
_HEAD = (
    "| `estimator` | tasks | description | searched by default | `prepare` | takes weights |\n"
    "|---|---|---|---|---|---|"
)


def table() -> str:
    """Return the table, simplest first."""
    return "\n".join([_HEAD, *(_line(name, one) for name, one in ALGORITHMS.items())]) + "\n"


def with_table(text: str) -> str:
    """Put the table of today between the marks of a text."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _line(name: str, one: type[Algorithm]) -> str:
    space = one(estimator=name).space
    searched = ", ".join(f"`{key}` {_shown(value)}" for key, value in space.items())
    what = (one.__doc__ or "").split("\n")[0].rstrip(".")
    weights = "yes" if one.takes_weights else "no"
    return (
        f"| `{name}` | {', '.join(one.tasks)} | {what} | {searched} | {one.prepare} | {weights} |"
    )


def _shown(value: Span | float | int) -> str:
    if not isinstance(value, Span):
        return f"{value}"
    kind = "whole numbers, " if isinstance(value, WholeSpan) else ""
    scale = "logarithmic" if value.log else "linear"
    return f"{value.low:g} to {value.high:g} ({kind}{scale})"


if __name__ == "__main__":
    PATH.write_text(with_table(PATH.read_text(encoding="utf-8")), encoding="utf-8")
