"""The file `labels.people.gold`: rows whose class is known, to measure annotators by."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError

if TYPE_CHECKING:
    from include.use_cases.schema import UseCase

_LABEL = "label"


def _bool(cell: str) -> bool:
    return {"true": True, "false": False}[cell]


def _time(cell: str) -> datetime:
    moment = datetime.fromisoformat(cell)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


_READ: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "int64": int,
    "float64": float,
    "bool": _bool,
    "timestamp": _time,
    "date": _time,
}


def read_gold(use_case: UseCase, folder: Path) -> list[tuple[dict[str, Any], int]]:
    """Read the gold items of a use case: key and class of each; none where it names no file.

    Parameters
    ----------
    use_case : UseCase
        Names the file, the key and the classes.
    folder : Path
        That of its `use_case.yaml`.

    Raises
    ------
    ConfigError
        The file is missing or wrong: which line, and what to do.
    """
    labels = use_case.labels
    if labels is None or labels.people is None or labels.people.gold is None:
        return []
    path = folder / labels.people.gold
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_items(use_case, labels.answers, csv.DictReader(file), path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{use_case.name}/{path.name}: cannot be read ({error}). Write a CSV file in UTF-8 "
            f"with the columns {[*use_case.ingest.key, _LABEL]}, or remove labels.people.gold."
        ) from error


def _items(
    use_case: UseCase, classes: Mapping[str, int], rows: csv.DictReader[str], path: Path
) -> Iterator[tuple[dict[str, Any], int]]:
    where = f"{use_case.name}/{path.name}"
    needed = [*use_case.ingest.key, _LABEL]
    if lacking := [name for name in needed if name not in (rows.fieldnames or ())]:
        raise ConfigError(
            f"{where}, line 1: must have the columns {needed}, but lacks {lacking}. Add them."
        )
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        line = f"{where}, line {rows.line_num}"
        key = {name: _cell(use_case, name, row[name], line) for name in use_case.ingest.key}
        if row[_LABEL] not in classes:
            raise ConfigError(
                f"{line}: label must be one of {list(classes)}, got {row[_LABEL]!r}. Correct it."
            )
        if tuple(key.values()) in seen:
            raise ConfigError(f"{line}: {key} stands there twice. Remove one.")
        seen.add(tuple(key.values()))
        yield key, classes[row[_LABEL]]
    if not seen:
        raise ConfigError(f"{where}: must have at least one row, got none. Write some.")


def _cell(use_case: UseCase, name: str, cell: str | None, line: str) -> Any:
    kind = use_case.ingest.columns[name]
    try:
        if not cell:
            raise ValueError
        return _READ[kind](cell)
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"{line}: {name} must be {kind}, as in ingest.columns, got {cell!r}. Correct it."
        ) from error
