"""JSON lines: the objects, and their values as cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from include.errors import DataContractError, bounded

_KINDS = {bool: "bool", int: "int64", float: "float64", str: "string"}
MIXED = "mixed"


@dataclass(frozen=True, eq=False)
class Objects:
    """What a file holds.

    Attributes
    ----------
    cells : Table
        Texts as they are, other values as JSON writes them.
    rows : int
        Of the file; `cells` may be a sample.
    typed : dict of str to str
        The kind of the values of each column: `string`, `int64`, `float64`, `bool` or `mixed`.
    lines : ChunkedArray
        The objects as written.
    """

    cells: pa.Table
    rows: int
    typed: dict[str, str]
    lines: pa.ChunkedArray


def cells_of(content: bytes, path: str, most: int | None) -> Objects:
    """Read objects, one a line; of more than `most` every n-th.

    Raises
    ------
    DataContractError
        A line is no JSON object.
    """
    lines = [line for line in content.splitlines() if line.strip()]
    every = 1 if most is None else -(-max(len(lines), 1) // most)
    taken = lines[::every]
    objects = []
    for number, line in enumerate(taken):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            found = bounded(str(error), 100)
        if not isinstance(found, dict):
            raise DataContractError(
                f"{path}: line {number * every + 1} must be one JSON object "
                f"({bounded(str(found), 100)}). Write one object a line."
            )
        objects.append(found)
    names = list(dict.fromkeys(name for each in objects for name in each))
    typed = {name: _kind([each.get(name) for each in objects]) for name in names}
    try:
        arrays = [
            pa.array([_text(each.get(name)) for each in objects], pa.string()) for name in names
        ]
    except UnicodeEncodeError as error:
        raise DataContractError(
            f"{path}: holds half a character, {error.object[error.start]!a}, which is no text. "
            "Write the file as UTF-8."
        ) from None
    written = pa.chunked_array([pa.array([line.decode() for line in taken], pa.string())])
    return Objects(pa.table(arrays, names=names), len(lines), typed, written)


def numbered(lines: Sequence[str], name: str) -> pa.ChunkedArray:
    """Give objects a first value that counts them from 1."""
    made = [json.dumps({name: n, **json.loads(line)}) for n, line in enumerate(lines, 1)]
    return pa.chunked_array([pa.array(made, pa.string())])


def _kind(values: list[object]) -> str:
    found = {_KINDS.get(type(value), MIXED) for value in values if value is not None}
    if found == {"int64", "float64"}:
        return "float64"
    return found.pop() if len(found) == 1 else MIXED if found else "string"


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
