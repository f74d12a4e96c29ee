"""What people see of a row, as a digest: it tells whether the row was corrected since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from include.labelling.asking import item_id
from include.use_cases.schema import UseCase


def seen_as(use_case: UseCase, row: Mapping[str, Any]) -> str:
    """Digest a row as people see it: the columns, their types, and 16 hexadecimal digits.

    Counted are the columns that a question shows, and those that its picture is made from.
    """
    assert use_case.labels is not None  # noqa: S101  for mypy
    people = use_case.labels.people
    names = set(use_case.ingest.columns)
    if people is not None and people.show is not None:
        picture = people.picture
        if picture is None or picture.python is None:  # a function gets the whole row
            names = {*people.show, *([picture.column] if picture and picture.column else [])}
    return _digest({name: str(use_case.ingest.columns[name]) for name in sorted(names)}, row)


def seen_columns(seen: str) -> dict[str, str]:
    """Give the columns of a digest, and the types that they had."""
    return dict(json.loads(seen)["columns"])


def is_corrected(use_case: UseCase, seen: str | None, row: Mapping[str, Any]) -> bool:
    """Whether a row is another one than people saw.

    Columns that were dropped, or have another type by now, cannot be compared: then it counts as
    the same.
    """
    if seen is None or not row:
        return False
    now, then = use_case.ingest.columns, seen_columns(seen)
    if any(name not in now or str(now[name]) != kind for name, kind in then.items()):
        return False
    return _digest(then, row) != seen


def _digest(columns: Mapping[str, str], row: Mapping[str, Any]) -> str:
    return json.dumps(
        {"columns": dict(columns), "digest": item_id({name: row[name] for name in columns})}
    )
