"""Bodies of scoring requests: good ones in every format, and mutations of them by a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

JSON, CSV = "application/json", "text/csv"
GOOD = {
    "at": "2024-02-01T00:00:00Z", "n": 3, "x": 0.5, "open": True, "colour": "red",
}  # fmt: skip
MARK = "S3cret" * 60
"""A text of 360 characters, which no answer may repeat."""

_CELLS: tuple[Any, ...] = (
    None, True, False, 0, -0.0, 1, -1, 5.0, 1.5, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63,
    -(2**63), 10**30, 10**400, 1e30, -1e30, 1.1e30, 1e-320, 9.2e18, 1.7e308, float("inf"),
    float("-inf"), float("nan"), "", " ", "\t", "\u00a0", "\u200b", "\0", "re\0d", "\ud800",
    "\udfff\ud800", "red", "missing", "nan", "None", "5", "true", "é" * 300, MARK, "\U0001f600",
    "2024-02-30T00:00:00Z", "2024-02-01", "2024-02-01T00:00:00", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "1900-01-01T00:00:00Z", "2199-12-31T23:59:59Z", "10000-01-01",
    "2024-W05-4T00:00:00Z", "2024-02-01T24:00:00Z", "2024-02-01T00:00:00.123456789Z", [], {}, [1],
    {"x": 1}, [[[]]],
)  # fmt: skip
_KEYS = ("x", "X", "", " ", "\0", "\ud800", "__class__", "partition", "id", "params", MARK, "é")
_LITERALS = (b"NaN", b"-Infinity", b"1e400", b"-1e400", b"1" * 5_000, b"0x10", b"01", b"1_000")
_BYTES = (
    b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b'"', b"{",
    b"}", b"[", b"]", b",", b":", b"\n", b"\r", b"\\", b"e9", b"-", b"[" * 3_000, b'{"a":' * 3_000,
)  # fmt: skip
_KINDS = (
    "", JSON, CSV, "text/plain", "application/json; charset=utf-8", "TEXT/CSV; charset=UTF8",
    "application/json;charset=utf-16", "application/json; boundary=x", "multipart/form-data",
    "\xe9/\xff", MARK,
)  # fmt: skip


def seeded(seed: int) -> random.Random:
    """Return a generator that makes the same choices at each run."""
    return random.Random(seed)  # noqa: S311 - nothing here is a secret


def good_body(rng: random.Random, rows: list[dict[str, Any]]) -> tuple[bytes, str]:
    """Write rows with the same keys in one of the formats; gives the body and its content type."""
    names = list(rows[0])
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    columns = {name: [row[name] for row in rows] for name in names}
    form = rng.choice(["split", "dataframe_records", "instances", "inputs", "columns", "csv"])
    if form == "csv":
        lines = [names, *([_csv_cell(row[name]) for name in names] for row in rows)]
        return "\n".join(",".join(line) for line in lines).encode("utf-8", "surrogatepass"), CSV
    content: dict[str, Any] = {
        "split": {"dataframe_split": split},
        "columns": {"inputs": columns},
    }.get(form) or {form: rows}
    return json.dumps(content, ensure_ascii=rng.random() < 0.5).encode(
        "utf-8", "surrogatepass"
    ), JSON


def mutated_body(seed: int) -> tuple[bytes, str]:
    """Make a body by seed: good rows, some mutations of their cells, keys, or bytes."""
    rng = seeded(seed)
    rows = [dict(GOOD) for _ in range(rng.choice([1, 1, 2, 5]))]
    for _ in range(rng.choice([0, 1, 1, 2])):
        rng.choice([_cell, _cell, _cell, _key, _lost, _added])(rng, rows)
    body, kind = good_body(rng, rows)
    for _ in range(rng.choice([0, 0, 0, 1, 2, 8])):
        mutate: Callable[[random.Random, bytes], bytes] = rng.choice(
            [_inserted, _removed, _flipped, _repeated, _literal, _doubled_key]
        )
        body = mutate(rng, body)
    if rng.random() < 0.1:
        kind = rng.choice(_KINDS)
    return body, kind


def _csv_cell(value: Any) -> str:
    return "" if value is None else str(value)


def _cell(rng: random.Random, rows: list[dict[str, Any]]) -> None:
    row = rng.choice(rows)
    row[rng.choice(list(row))] = rng.choice(_CELLS)


def _key(rng: random.Random, rows: list[dict[str, Any]]) -> None:
    old, new = rng.choice(list(rows[0])), rng.choice(_KEYS)
    for row in rows:
        row[new] = row.pop(old)


def _lost(rng: random.Random, rows: list[dict[str, Any]]) -> None:
    name = rng.choice(list(rows[0]))
    for row in rows:
        del row[name]


def _added(rng: random.Random, rows: list[dict[str, Any]]) -> None:
    name, value = rng.choice(_KEYS), rng.choice(_CELLS)
    for row in rows:
        row[name] = value


def _place(rng: random.Random, body: bytes) -> int:
    return rng.randrange(len(body) + 1)


def _inserted(rng: random.Random, body: bytes) -> bytes:
    at = _place(rng, body)
    return body[:at] + rng.choice([*_BYTES, *_LITERALS]) + body[at:]


def _removed(rng: random.Random, body: bytes) -> bytes:
    first, last = sorted((_place(rng, body), _place(rng, body)))
    return body[:first] + body[min(last, first + 20) :]


def _flipped(rng: random.Random, body: bytes) -> bytes:
    at = _place(rng, body)
    return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]


def _repeated(rng: random.Random, body: bytes) -> bytes:
    first, last = sorted((_place(rng, body), _place(rng, body)))
    return body[:last] + body[first:last] + body[last:]


def _literal(rng: random.Random, body: bytes) -> bytes:
    return body.replace(b"0.5", rng.choice(_LITERALS), 1)


def _doubled_key(rng: random.Random, body: bytes) -> bytes:
    return body.replace(b'"x":', b'"x": 1, "x":', 1)
