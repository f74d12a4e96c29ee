"""A landed file as an Arrow table of exactly the declared types, or why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import pyarrow as pa

from include.errors import DataContractError
from include.ingest_label.cells import check_finite, check_years
from include.ingest_label.checks import MAX_FILE_BYTES, within
from include.ingest_label.compressed import ENDINGS, unpacked
from include.ingest_label.delimited import parse_csv, parse_tsv
from include.ingest_label.json_lines import parse_json_lines
from include.ingest_label.parquet_files import parse_parquet
from include.ingest_label.source import Source
from include.use_cases.schema import Columns

Parser = Callable[[bytes, Source, Columns, Collection[str]], pa.Table]
PARSERS: Mapping[str, Parser] = {
    ".csv": parse_csv,
    ".tsv": parse_tsv,
    ".jsonl": parse_json_lines,
    ".ndjson": parse_json_lines,
    ".parquet": parse_parquet,
}
"""What reads a file, by its ending."""


def parse(
    content: bytes, source: Source, columns: Columns, elsewhere: Collection[str] = ()
) -> pa.Table:
    """Read one file's bytes.

    Parameters
    ----------
    content : bytes
        The file.
    source : Source
        Its path: the ending says what it is, and messages say where. And how its cells are written.
    columns : dict of str to ColumnType
        What is read, in this order. An empty cell of text is missing. What a cell may hold is
        written at the top of `cells`.
    elsewhere : collection of str
        Columns that are read of the same file for another table.

    Raises
    ------
    DataContractError
        Not readable, larger than a limit, a column is missing, or a value is not of its type:
        which file, row and column. Malformed bytes raise nothing else.
    """
    path = source.path
    within(len(content), MAX_FILE_BYTES, "bytes", path, "Split the file.")
    content, unpacked_path = unpacked(content, path)
    ending = next((each for each in PARSERS if unpacked_path.endswith(each)), None)
    if ending is None:
        raise DataContractError(
            f"{path}: must end in {', '.join(PARSERS)}, or in one of these and "
            f"{', '.join(ENDINGS)}. Land it as one of these."
        )
    table = PARSERS[ending](content, source, columns, elsewhere)
    for name, kind in columns.items():
        if kind == "float64":
            check_finite(table[name], name, path)
        elif kind in ("timestamp", "date"):
            check_years(table[name], name, path)
    return table
