"""Names that a section gives: known, and once; and names that classes give to columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

PREDICTED_CLASS = "predicted_class"
"""Column of predictions with the name of the class, where there are several."""


def probability_of(name: str) -> str:
    """Return the column of predictions that holds the probability of a class.

    Examples
    --------
    >>> probability_of("Iris setosa")
    'probability_Iris setosa'
    """
    return f"probability_{name}"


def unknown(where: str, names: Iterable[str], allowed: Iterable[str]) -> Iterator[str]:
    """Tell which names are not among the allowed ones."""
    known = sorted(allowed)
    for name in names:
        if name not in known:
            yield f"{where} names {name!r}, which is not one of {known}. Correct it or declare it."


def repeated(where: str, names: Iterable[str]) -> Iterator[str]:
    """Tell which names stand there more than once."""
    names = list(names)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{where} names {name!r} more than once. Remove the repetition."


def alike(where: str, names: Iterable[str]) -> Iterator[str]:
    """Tell which names differ only in upper and lower case: Delta takes them for one column."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.casefold(), name)) != name:
            yield (
                f"{where} names {other!r} and {name!r}, which differ only in upper and lower case: "
                "the lake takes them for one column. Rename one, or leave it out."
            )
