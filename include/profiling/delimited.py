"""CSV and TSV: what separates cells, which encoding, and the cells as text."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv

from include.errors import DataContractError, bounded
from include.ingest_label.cells import MALFORMED
from include.ingest_label.checks import MAX_ROW_BYTES, listed

_DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 200  # lines: a delimiter is the same in all of them
_NUMBER = re.compile(r"-?[\d.,]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True, eq=False)
class Delimited:
    """What a text file holds; `rows` counts all, `cells` may be a sample."""

    cells: pa.Table
    rows: int
    delimiter: str
    encoding: str


def cells_of(content: bytes, path: str, most: int | None, delimiter: str | None) -> Delimited:
    """Read cells as text; of more than `most` rows every n-th.

    Raises
    ------
    DataContractError
        It is no table of text.
    """
    encoding, content = _utf8(content, path)
    head = content[: 2**20].decode("utf-8-sig", errors="ignore").splitlines()[:_LOOKED_AT]
    if not any(line.strip() for line in head):
        raise DataContractError(f"{path}: is empty. Name a file with a header row and rows.")
    delimiter = delimiter or delimiter_of(head)
    header = _header(head, delimiter, path)
    if content.count(b'"') % 2:
        raise DataContractError(
            f'{path}: a quote (") is not closed: the file has an odd number of them. Close it; '
            "inside a cell write a quote as two."
        )
    lines = max(content.count(b"\n"), content.count(b"\r"), 1)
    every = 1 if most is None else -(-lines // most)
    kinds = pa.schema([(name, pa.string()) for name in dict.fromkeys(header)])
    if len(kinds) != len(header):  # told by the caller, who knows all kinds of files
        return Delimited(_twice(header), 0, delimiter, encoding)
    kept, rows = [], 0
    try:
        with pa_csv.open_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=MAX_ROW_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, delimiter=delimiter),
            convert_options=pa_csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
        ) as reader:
            for batch in reader:
                first = -rows % every
                kept.append(batch.take(pa.array(range(first, batch.num_rows, every), pa.int64())))
                rows += batch.num_rows
    except MALFORMED as error:
        raise DataContractError(
            f"{path}: is no table of cells separated by {delimiter!r} "
            f"({bounded(str(error), 200)}). Correct the file."
        ) from None
    return Delimited(pa.Table.from_batches(kept, kinds), rows, delimiter, encoding)


def written(cells: pa.Table, delimiter: str, encoding: str) -> bytes:
    """Write cells of text as they were read."""
    stream = io.BytesIO()
    pa_csv.write_csv(
        cells, stream, pa_csv.WriteOptions(delimiter=delimiter, quoting_style="needed")
    )
    content = stream.getvalue()
    return content if encoding == "utf-8" else content.decode().encode(encoding)


def delimiter_of(lines: list[str]) -> str:
    r"""Tell what separates cells: what gives most lines the same number of them, above one.

    Examples
    --------
    >>> delimiter_of(["a;b", "1,5;2", "2,5;3"])
    ';'
    """
    best, found = (0.0, 0), ","
    for delimiter in _DELIMITERS:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        if not rows:
            continue
        width, times = Counter(len(row) for row in rows).most_common(1)[0]
        agreed = (round(times / len(rows), 1), width)
        if width > 1 and len(rows[0]) == width and agreed > best:
            best, found = agreed, delimiter
    return found


def _utf8(content: bytes, path: str) -> tuple[str, bytes]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return "utf-16", content.decode("utf-16").encode()
        except UnicodeError:
            raise DataContractError(f"{path}: is no UTF-16 text. Convert it to UTF-8.") from None
    if _CONTROL.search(content[: 2**20]):
        raise DataContractError(
            f"{path}: is no text, but binary data. Name a file of CSV, TSV, JSON lines or Parquet."
        )
    try:
        content.decode()
    except UnicodeDecodeError:
        for encoding in ("cp1252", "latin-1"):
            try:
                return encoding, content.decode(encoding).encode()
            except UnicodeDecodeError:
                continue
    return "utf-8", content


def _header(head: list[str], delimiter: str, path: str) -> list[str]:
    header = next(csv.reader(head[:1], delimiter=delimiter), [])
    if sum(bool(_NUMBER.fullmatch(name.strip())) for name in header) > len(header) / 2:
        raise DataContractError(
            f"{path}: the first row must name the columns, but is {listed(header)}. Put a row with "
            "their names before it."
        )
    return header


def _twice(header: list[str]) -> pa.Table:
    return pa.table([pa.array([], pa.string())] * len(header), names=header)
