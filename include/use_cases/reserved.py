"""Names of columns that Flywheel adds beside a use case's own, and that a use case cannot take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.use_cases.schema import UseCase

RESERVED = frozenset(
    {
        "label",  # of labels and of training sets
        "model_version",  # of predictions, as the next three
        "predicted_at",
        "prediction",  # also of the monitor's reference, beside the features
        "score",
        "partition",  # of every table
        "reason",  # of quarantined rows
    }
)
"""Names of the lake's own columns; one that begins with `_` is for what a computation adds."""


def is_reserved(name: str) -> bool:
    """Whether a column of a use case cannot have this name.

    Delta takes names that differ only in upper and lower case for one. pyarrow takes a name that
    begins with '.' for the path of a nested value, and finds none.
    """
    return name.casefold() in RESERVED or name.startswith(("_", "."))


def reserved_names(use_case: UseCase) -> Iterator[str]:
    """Tell which columns and features have a reserved name, one sentence each.

    Outcomes may: of `labels.columns` the lake keeps only the key and times, which are columns of
    `ingest` too.
    """
    ingest = use_case.ingest
    yield from _refused("ingest.columns", ingest.columns, "Rename the column where it is landed")
    for name, reference in ingest.references.items():
        where = f"ingest.references.{name}.columns"
        yield from _refused(where, reference.columns, "Rename the column where it is landed")
    for kind in ("numeric", "categorical"):
        made = getattr(use_case.features, kind)
        yield from _refused(f"features.{kind}", made, "Give the feature another name")


def _refused(where: str, names: Iterable[str], remedy: str) -> Iterator[str]:
    for name in names:
        if is_reserved(name):
            yield (
                f"{where}.{name} cannot have this name: {sorted(RESERVED)} and names that begin "
                f"with '_' or '.' are kept for other things. {remedy}."
            )
