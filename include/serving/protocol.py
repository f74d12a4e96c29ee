"""What a scoring request may say, and its answer: MLflow's scoring protocol, strictly.

No message repeats text that was sent: an error body that echoes NaN or half a surrogate pair cannot
be written as JSON, and turns a client's mistake into our 500. Messages name the row, the column and
what was expected there.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from include.lake.frames import arrow_schema, to_pandas
from include.modelling.cleaning import filled, without_noise
from include.modelling.scoring import Floats, predicted
from include.registry.request_rules import Rule, rules_of
from include.serving.cells import checked_column, kind_of, of_text
from include.serving.rejected import Rejected
from include.serving.scored import RowsBy
from include.use_cases.schema import Clean, Columns, UseCase

MAX_BODY_BYTES = 5_000_000
MAX_ROWS = 10_000
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

Table = dict[str, list[Any]]


@dataclass(frozen=True)
class Rows:
    """The checked rows of one request, column by column, timestamps as aware datetimes."""

    columns: Table
    count: int


def frame_of(requests: Sequence[Rows], use_case: UseCase, request_columns: Columns) -> pd.DataFrame:
    """Make one frame of the rows of several requests.

    As the lake would give them, with the dtypes that the model was trained on.
    """
    sent = {
        name: [cell for rows in requests for cell in rows.columns[name]] for name in request_columns
    }
    table = pa.table(sent, schema=arrow_schema(request_columns))
    return to_pandas(_cleaned(table, use_case.clean))


def parse(
    body: bytes,
    content_type: str,
    use_case: UseCase,
    request_columns: Columns,
    rules: Mapping[str, Rule] | None = None,
) -> Rows:
    """Read the rows of a request and check every cell.

    Parameters
    ----------
    body : bytes
        What was sent.
    content_type : str
        ``application/json`` or ``text/csv``, in UTF-8.
    use_case : UseCase
        Whose key columns may be sent too, to be logged with the prediction.
    request_columns : dict of str to ColumnType
        What each row must carry.
    rules : mapping of str to Rule, optional
        Which columns may be missing or blank; by default only what the use case declares.

    Raises
    ------
    Rejected
        400, 413 or 415.
    """
    kind = _media_type(content_type)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected(400, "The body must be UTF-8.") from None
    allowed = dict(request_columns)
    allowed |= {
        name: use_case.ingest.columns[name]
        for name in use_case.ingest.key
        if name not in request_columns
    }
    table = _of_csv(text, allowed) if kind == "text/csv" else _of_json(text)
    _check_names(list(table), request_columns, allowed)
    count = len(next(iter(table.values())))
    _check_count(count)
    if rules is None:
        rules = rules_of(use_case, request_columns, {})
    columns = {}
    for name, values in table.items():
        rule = rules[name]
        columns[name] = checked_column(
            values, name, allowed[name], nullable=rule.nullable, blank=rule.blank
        )
    return Rows(columns, count)


def answer(
    scores: Floats, use_case: UseCase, findings: Mapping[str, RowsBy] | None = None
) -> dict[str, Any]:
    """Make the body of a good answer.

    Parameters
    ----------
    scores : ndarray
        What `include.modelling.scoring.score_rows` gives.
    use_case : UseCase
        The model's.
    findings : mapping of str to mapping, optional
        Rows to flag, by finding (one of `include.serving.metrics.FINDINGS`) and by what it is
        about.

    Returns
    -------
    dict
        ``predictions``; for two classes ``scores``; of more the predictions are names of classes,
        and ``probabilities`` has for each row those of all classes by name; each finding that
        flags something.
    """
    content: dict[str, Any] = {"predictions": predicted(scores, use_case).tolist()}
    if names := use_case.class_names:
        content["predictions"] = [names[number] for number in content["predictions"]]
        content["probabilities"] = [dict(zip(names, row, strict=True)) for row in scores.tolist()]
    elif use_case.task == "classification":
        content["scores"] = scores.tolist()
    for finding, rows_by in (findings or {}).items():
        if rows_by:
            content[finding] = {name: [int(row) for row in rows] for name, rows in rows_by.items()}
    return content


def _media_type(content_type: str) -> str:
    kind, _, rest = content_type.partition(";")
    kind = kind.strip().lower()
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if kind not in ("application/json", "text/csv") or charset not in ("", "utf-8", "utf8"):
        raise Rejected(415, "Content-Type must be application/json or text/csv, in UTF-8.")
    return kind


def _of_json(text: str) -> Table:
    try:
        content = _JSON.decode(text)
    except _RepeatedKeyError:
        raise Rejected(400, "The body must name each key of an object once.") from None
    except (ValueError, RecursionError):  # the parser's own message repeats the input
        raise Rejected(
            400, "The body must be JSON, without NaN or Infinity. Send null for a missing value."
        ) from None
    if not isinstance(content, dict):
        raise Rejected(400, f"The body must be an object with one of {list(FORMATS)}.")
    given = [name for name in FORMATS if name in content]
    others = content.keys() - {*FORMATS, "params"}
    if len(given) != 1 or others:
        raise Rejected(400, f"The body must have exactly one of {list(FORMATS)}, and nothing else.")
    if content.get("params"):
        raise Rejected(400, "'params' must be empty: these models take no parameters.")
    data = content[given[0]]
    if given[0] == "dataframe_split":
        return _of_split(data)
    if given[0] == "inputs" and isinstance(data, dict):
        return _of_columns(data)
    return _of_records(data, given[0])


def _no_constant(_name: str) -> Any:
    raise ValueError


class _RepeatedKeyError(ValueError):
    """An object names a key twice: which of the two values counts would be a guess."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _RepeatedKeyError
    return made


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def _of_split(data: object) -> Table:
    if not isinstance(data, dict) or not {"columns", "data"} <= data.keys():
        raise Rejected(400, "'dataframe_split' must be an object with 'columns' and 'data'.")
    names, rows = data["columns"], data["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Rejected(400, "'dataframe_split.columns' must be a list of names.")
    if len(set(names)) != len(names):
        raise Rejected(400, "'dataframe_split.columns' must name each column once.")
    if not isinstance(rows, list):
        raise Rejected(400, "'dataframe_split.data' must be a list of rows.")
    _check_count(len(rows))
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise Rejected(400, f"Row {number} must be a list of {len(names)} values.")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _of_records(data: object, name: str) -> Table:
    if not isinstance(data, list):
        raise Rejected(400, f"'{name}' must be a list of objects, one for each row.")
    _check_count(len(data))
    for number, row in enumerate(data):
        if not isinstance(row, dict):
            raise Rejected(400, f"Row {number} must be an object, got {kind_of(row)}.")
        if row.keys() != data[0].keys():
            raise Rejected(400, f"Row {number} must have the same columns as row 0.")
    return {column: [row[column] for row in data] for column in data[0]}


def _of_columns(data: dict[str, object]) -> Table:
    table: Table = {}
    for number, (name, values) in enumerate(data.items()):
        if not isinstance(values, list):
            raise Rejected(
                400, f"'inputs' must hold a list for each column; column {number} is not one."
            )
        table[name] = values
    if len({len(values) for values in table.values()}) > 1:
        raise Rejected(400, "'inputs' must hold lists of one length.")
    return table


def _of_csv(text: str, types: Columns) -> Table:
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error:
        raise Rejected(400, "The body must be CSV with a line of column names.") from None
    if not lines:
        raise Rejected(400, "The body must be CSV with a line of column names, got nothing.")
    names, rows = lines[0], lines[1:]
    if len(set(names)) != len(names):
        raise Rejected(400, "The first line must name each column once.")
    _check_count(len(rows))
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise Rejected(400, f"Row {number} must have {len(names)} values.")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return {
        name: [of_text(value, types.get(name, "string")) for value in values]
        for name, values in columns
    }


def _check_count(count: int) -> None:
    if count == 0:
        raise Rejected(400, "There must be at least one row.")
    if count > MAX_ROWS:
        raise Rejected(413, f"There may be {MAX_ROWS} rows at most. Send them in several requests.")


def _check_names(names: list[str], request_columns: Columns, allowed: Columns) -> None:
    for number, name in enumerate(names):
        if name not in allowed:
            # A plain word is safe to say back and helps most; anything else is named by its place.
            said = repr(name) if _PLAIN_NAME.fullmatch(name) else f"number {number}"
            raise Rejected(400, f"Column {said} is unknown. The columns are {sorted(allowed)}.")
    if missing := [name for name in request_columns if name not in names]:
        raise Rejected(400, f"Columns {missing} are missing. Send null for a missing value.")


def _cleaned(table: pa.Table, rules: Clean) -> pa.Table:
    """Treat noise and missing values as `validate_clean` does: models are trained on that."""
    return filled(without_noise(table, rules)[0], rules)[0]
