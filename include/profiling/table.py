"""The types and rules of all columns, and their values as ingestion reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.ingest_label.files import parse
from include.ingest_label.source import Source
from include.profiling.cells import Finding, Texts, finding_of
from include.profiling.json_lines import MIXED
from include.profiling.numbers import PLAIN, file_style
from include.profiling.raw import Raw
from include.use_cases.reserved import is_reserved
from include.use_cases.schema import ColumnType
from include.use_cases.sections.format import Format


@dataclass(frozen=True, eq=False)
class Table:
    """A sample of a file, read.

    Attributes
    ----------
    path : Path
        The file.
    raw : Raw
        The sample as it is.
    findings : dict of str to Finding
        What each column holds, in the order of the file.
    format : dict
        The section `format`; empty where cells need no rules.
    frame : DataFrame
        The readable columns of the sample, as ingestion reads them.
    """

    path: Path
    raw: Raw
    findings: Mapping[str, Finding]
    format: dict[str, Any]
    frame: pd.DataFrame
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return self.raw.rows

    @property
    def sampled(self) -> bool:
        """Whether not all rows were looked at."""
        return len(self.frame) < self.rows

    def distinct(self, name: str) -> int:
        """Count the different values of a column in the sample."""
        if name not in self._counts:
            self._counts[name] = int(self.frame[name].nunique())
        return self._counts[name]

    def kind(self, name: str) -> ColumnType:
        """Return a column's type."""
        return self.findings[name].kind

    def missing(self, name: str) -> float:
        """Return the share of rows without a value."""
        return float(self.frame[name].isna().mean())


def table_of(path: Path, raw: Raw) -> Table:
    """Find out what the columns of a sample hold, and read them.

    Raises
    ------
    DataContractError
        A cell cannot be read by any type: which.
    """
    if raw.kind == ".parquet":
        findings = {name: _of_arrow(name, raw.cells[name]) for name in raw.cells.column_names}
    else:
        findings = _of_texts(raw)
    findings = _apart({name: _named(name, found) for name, found in findings.items()})
    columns = {name: found.kind for name, found in findings.items() if _is_read(name, found)}
    written = _format(findings, raw)
    source = Source(raw.name_of(path), Format.model_validate(written))
    content = raw.take(pa.array(range(raw.cells.num_rows)))
    parsed = parse(content, source, columns)
    frame = parsed.to_pandas(date_as_object=False)
    return Table(path, raw, findings, written, frame)


def _is_read(name: str, found: Finding) -> bool:
    return bool(name) and not found.obstacle.startswith("holds ")


def _named(name: str, found: Finding) -> Finding:
    """Keep columns out that have no name, or one that is Flywheel's own."""
    if not name.strip():
        return Finding(found.kind, obstacle="has no name; name it in the file to use it")
    if is_reserved(name):
        why = "has a name that is Flywheel's own; rename it in the file to use it"
        return Finding(found.kind, found.rules, found.notes, why, found.style, found.padded)
    return found


def _apart(findings: Mapping[str, Finding]) -> dict[str, Finding]:
    """Keep out what differs from a column before it only in upper and lower case."""
    known: dict[str, str] = {}
    told = dict(findings)
    for name, found in findings.items():
        if (other := known.setdefault(name.casefold(), name)) != name and not found.obstacle:
            why = f"differs from {other!r} only in upper and lower case; rename it to use it"
            told[name] = replace(found, obstacle=why)
    return told


def _of_texts(raw: Raw) -> dict[str, Finding]:
    typed = {name: raw.typed.get(name, "string") for name in raw.cells.column_names}
    texts = {
        name: Texts.of(raw.cells[name]) for name, kind in typed.items() if kind in ("string", MIXED)
    }
    as_text = raw.kind != ".jsonl"
    fitting = [each.numeric_styles() for each in texts.values()] if as_text else []
    style = file_style(fitting, raw.delimiter)
    found: dict[str, Finding] = {}
    for name, kind in typed.items():
        if kind == MIXED:
            found[name] = Finding("string", obstacle="holds values of several kinds, or objects")
        elif kind == "string":
            one = finding_of(texts[name], style, name=name)
            number = one.kind in ("int64", "float64")
            # JSON has numbers of its own: one in quotes is a text.
            found[name] = Finding("string") if number and not as_text else one
        else:
            found[name] = Finding(kind)  # type: ignore[arg-type]
    return found


def _of_arrow(name: str, column: pa.ChunkedArray) -> Finding:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return Finding("int64")
    if pa.types.is_floating(kind):
        return Finding("float64")
    if pa.types.is_boolean(kind):
        return Finding("bool")
    if pa.types.is_date(kind):
        return Finding("date")
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            return Finding("timestamp")
        note = "times without a zone are taken as UTC"
        return Finding("timestamp", {"time_zone": "UTC"}, (note,))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = Texts.of(pc.fill_null(column.cast(pa.string()), ""))
        found = finding_of(texts, PLAIN, name=name)
        # Times and bools that were written as text need a rule to be read as such.
        ruled = found.rules and found.kind in ("timestamp", "date", "bool")
        unread = found.obstacle.startswith("holds ")
        return found if ruled or unread else Finding("string")
    return Finding("string", obstacle=f"holds {column.type}, which is not read")


def _format(findings: Mapping[str, Finding], raw: Raw) -> dict[str, Any]:
    """Write the section: what most columns share for the table, the rest for single columns."""
    written = _delimited(raw)
    rules = {name: dict(found.rules) for name, found in findings.items() if _is_read(name, found)}
    numbers = {
        name: found
        for name, found in findings.items()
        if name in rules and found.kind in ("int64", "float64") and raw.kind != ".parquet"
    }
    written |= _usual_decimal(list(numbers.values()))
    for name, found in numbers.items():
        style = found.style
        # Rules of one column are checked without those of the table: '.' needs ',' beside it.
        if style != PLAIN and (
            style.decimal != written.get("decimal", ".") or style.thousands == "."
        ):
            rules[name]["decimal"] = style.decimal
        rules[name] |= {"thousands": style.thousands} if style.thousands else {}
    shared = _shared_nulls(rules, findings, raw)
    if shared:
        written["null_values"] = shared
        for own in rules.values():
            if set(own.get("null_values", ())) <= set(shared):
                own.pop("null_values", None)
    columns = {name: own for name, own in rules.items() if own}
    return written | ({"columns": columns} if columns else {})


def _delimited(raw: Raw) -> dict[str, Any]:
    usual = "\t" if raw.kind == ".tsv" else ","
    if raw.kind not in (".csv", ".tsv"):
        return {}
    written = {"delimiter": raw.delimiter} if raw.delimiter != usual else {}
    return written | ({"encoding": raw.encoding} if raw.encoding != "utf-8" else {})


def _usual_decimal(numbers: list[Finding]) -> dict[str, str]:
    """Say what begins the fraction in all columns; nothing where they differ, or it is '.'."""
    decimals = {found.style.decimal for found in numbers if found.style != PLAIN}
    dotted = any(found.kind == "float64" and found.style == PLAIN for found in numbers)
    if decimals == {","} and not dotted:
        return {"decimal": ","}
    # Read by rules, by which blanks around a number do not count.
    padded = any(found.padded for found in numbers) and "," not in decimals
    return {"decimal": "."} if padded else {}


def _shared_nulls(
    rules: Mapping[str, Mapping[str, Any]], findings: Mapping[str, Finding], raw: Raw
) -> list[str]:
    """List words that mean a missing value in two columns or more, and a value in none."""
    counts: dict[str, int] = {}
    for own in rules.values():
        for word in own.get("null_values", ()):
            counts[word] = counts.get(word, 0) + 1
    shared = [word for word, times in counts.items() if times > 1]
    for name, found in findings.items():
        if found.kind != "string" or name not in rules or raw.kind != ".csv":
            continue
        taken = set(rules[name].get("null_values", ()))
        there = set(raw.cells[name].unique().to_pylist()) if shared else set()
        shared = [word for word in shared if word in taken or word not in there]
    return shared
