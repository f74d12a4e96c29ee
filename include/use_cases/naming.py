"""Names that a section gives: known, and once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


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
