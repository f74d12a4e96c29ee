"""A file's rows as they are: all of them, or a sample spread over the whole file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from include.errors import DataContractError
from include.ingest_label.checks import MAX_FILE_BYTES, listed, within
from include.ingest_label.compressed import ENDINGS, unpacked
from include.profiling import delimited, json_lines, parquet

SAMPLE_ROWS = 100_000
"""Rows that are looked at. A share of one in a thousand is then seen a hundred times."""
MAX_COLUMNS = 500
"""Our choice: a configuration and a monitor's report of more columns is read by nobody."""
_KINDS = {
    ".csv": ".csv",
    ".txt": ".csv",
    ".data": ".csv",
    ".dat": ".csv",
    ".tsv": ".tsv",
    ".tab": ".tsv",
    ".jsonl": ".jsonl",
    ".ndjson": ".jsonl",
    ".parquet": ".parquet",
}
_REMEDIES = {
    ".xlsx": "Save the sheet as CSV.",
    ".xls": "Save the sheet as CSV.",
    ".json": "Write one JSON object a line, as .jsonl.",
}


@dataclass(frozen=True, eq=False)
class Raw:
    """Rows of a file.

    Attributes
    ----------
    kind : {'.csv', '.tsv', '.jsonl', '.parquet'}
        What it is.
    packed : str
        How it is compressed, such as `.gz`; or nothing.
    cells : Table
        Text of CSV and TSV; of Parquet its own types; of JSON lines text, and JSON for other
        values.
    rows : int
        How many the file has; `cells` may be a sample.
    delimiter, encoding : str
        Of text.
    typed : mapping of str to str
        Of JSON lines: the kind of a column's values where they are no texts.
    lines : ChunkedArray, optional
        Of JSON lines: the objects as they were written.
    """

    kind: str
    packed: str
    cells: pa.Table
    rows: int
    delimiter: str = ","
    encoding: str = "utf-8"
    typed: Mapping[str, str] = field(default_factory=dict)
    lines: pa.ChunkedArray | None = None

    def name_of(self, path: Path) -> str:
        """Return the file's name with the ending of what it holds, unpacked."""
        return path.name if path.suffix == self.kind else f"{path.name}{self.kind}"

    def take(self, places: pa.Array) -> bytes:
        """Write some of the rows as a file of the same kind, uncompressed."""
        if self.kind == ".parquet":
            return parquet.written(self.cells.take(places))
        if self.lines is not None:
            return "".join(f"{line}\n" for line in self.lines.take(places).to_pylist()).encode()
        return delimited.written(self.cells.take(places), self.delimiter, self.encoding)

    def numbered(self, name: str) -> Raw:
        """Return all rows with a first column that counts them from 1."""
        numbers = pa.array(range(1, self.cells.num_rows + 1))
        if self.lines is not None:
            return replace(self, lines=json_lines.numbered(self.lines.to_pylist(), name))
        kind = pa.int64() if self.kind == ".parquet" else pa.string()
        return replace(self, cells=self.cells.add_column(0, name, numbers.cast(kind)))


def read(path: Path, *, sample: bool = True) -> Raw:
    """Read a file's rows, by default a sample of at most `SAMPLE_ROWS`.

    Raises
    ------
    DataContractError
        It is no table that Flywheel could learn from: why, and what to do.
    """
    packed, kind, content = _content(path)
    most = SAMPLE_ROWS if sample else None
    if kind == ".parquet":
        raw = Raw(kind, packed, *parquet.cells_of(content, str(path), most))
    elif kind == ".jsonl":
        found = json_lines.cells_of(content, str(path), most)
        raw = Raw(kind, packed, found.cells, found.rows, typed=found.typed, lines=found.lines)
    else:
        text = delimited.cells_of(content, str(path), most, "\t" if kind == ".tsv" else None)
        raw = Raw(kind, packed, text.cells, text.rows, text.delimiter, text.encoding)
    _check(raw, str(path))
    return raw


def _content(path: Path) -> tuple[str, str, bytes]:
    if not path.exists():
        raise DataContractError(f"{path}: there is no such file. Correct DATA.")
    if not path.is_file():
        raise DataContractError(f"{path}: must be a file, not a folder. Name one file in DATA.")
    try:
        size = path.stat().st_size
        within(size, MAX_FILE_BYTES, "bytes", str(path), "Begin with a part of it.")
        content = path.read_bytes()
    except OSError as error:
        raise DataContractError(f"{path}: cannot be read ({error}). Correct DATA.") from None
    if not content:
        raise DataContractError(f"{path}: is empty. Name a file with a header row and rows.")
    name = path.name.lower()
    packed = next((ending for ending in ENDINGS if name.endswith(ending)), "")
    ending = Path(name.removesuffix(packed)).suffix
    if packed == ".zip" and ending not in _KINDS:
        ending = _ending_inside(content)
    if ending not in _KINDS:
        remedy = _REMEDIES.get(ending, f"Name one that ends in {', '.join(_KINDS)}.")
        raise DataContractError(f"{path}: files of kind {ending!r} are not read. {remedy}")
    content, _ = unpacked(content, name) if packed else (content, name)
    if not content:
        raise DataContractError(f"{path}: is empty inside. Name a file with rows.")
    return packed, _KINDS[ending], content


def _ending_inside(content: bytes) -> str:
    """Tell the kind of a zip by its file; `unpacked` says what is wrong with a zip of several."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [each.filename for each in archive.infolist() if not each.is_dir()]
    except zipfile.BadZipFile:
        return ".csv"
    return Path(names[0].lower()).suffix if len(names) == 1 else ".csv"


def _check(raw: Raw, path: str) -> None:
    names = raw.cells.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataContractError(
            f"{path}: each column needs a name of its own, but {listed(twice)} stand there more "
            "than once. Rename them in the file."
        )
    if len(names) > MAX_COLUMNS:
        raise DataContractError(
            f"{path}: has {len(names):,} columns; `make new` takes at most {MAX_COLUMNS}. Make a "
            "file of the key, the label and the columns that could matter."
        )
    if len(names) < 2:
        raise DataContractError(
            f"{path}: has one column, {listed(names)}; a table needs a label and something to "
            "predict it from. Is it separated by something else than , ; | or a tab?"
        )
    if raw.rows == 0:
        raise DataContractError(f"{path}: has a header, but no rows. Name a file with rows.")
