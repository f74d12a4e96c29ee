"""Earlier definitions, kept so that a message can name what has changed since.

A result notes the digest of its definition. The lake's table `definitions` keeps, for each digest,
the digests of its parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pyarrow as pa

from include.due.definitions import definition_of, definition_parts
from include.lake.frames import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.schema import UseCase

_TABLE = "definitions"
_COLUMNS = {
    "stage": "string",
    "parts": "string",  # JSON: digest by name
    "code": "string",  # of the first who noted it
    "noted_at": "timestamp",
}


def record_definitions(
    use_case: UseCase, stages: Iterable[str], lake: Lake, writer: Writer
) -> list[str]:
    """Note the definitions of today that are not noted yet; return their stages.

    Parameters
    ----------
    use_case : UseCase
        As it is configured now.
    stages : iterable of str
        Tables of the lake.
    lake, writer : Lake, Writer
        Where it is noted, and by whom.
    """
    table = lake.table(use_case.name, _TABLE)
    known = set(table.partitions())
    new = {stage: definition_of(use_case, stage) for stage in stages}
    new = {stage: digest for stage, digest in new.items() if _name(stage, digest) not in known}
    for stage, digest in new.items():
        row = {
            "stage": stage,
            "parts": json.dumps(definition_parts(use_case, stage), sort_keys=True),
            "code": writer.code_version,
            "noted_at": datetime.now(UTC),
        }
        data = pa.Table.from_pylist([row], schema=arrow_schema(_COLUMNS))
        table.publish(
            data,
            partition=_name(stage, digest),
            schema=data.schema,
            writer=writer,
            volatile=("code", "noted_at"),
        )
    return list(new)


def changes_since(use_case: UseCase, stage: str, made_by: int | None, lake: Lake) -> str:
    """Say in a clause which parts of a definition have changed since a result was made.

    Parameters
    ----------
    use_case, stage : UseCase, str
        The definition as it is now.
    made_by : int or None
        Digest of the definition that made the result.
    lake : Lake
        Where definitions are noted.
    """
    if made_by is None:
        return "made by a definition that was not noted"
    name, table = _name(stage, made_by), lake.table(use_case.name, _TABLE)
    if name not in table.partitions():
        return f"made by definition {made_by:016x}, whose parts were not noted"
    (row,) = table.read([name]).to_pylist()
    changed = _changed(json.loads(row["parts"]), definition_parts(use_case, stage))
    return f"made by the definition of {row['noted_at']:%Y-%m-%d %H:%M}; changed since: {changed}"


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return ", ".join(
        f"{name} {before.get(name)} -> {now.get(name)}" if name == "code version" else name
        for name in names
    )


def _name(stage: str, digest: int) -> str:
    return f"{stage}.{digest:016x}"
