"""A lake with the synthetic use case in it, as far as training needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa

from include.due.definitions import DEFINITION, definition_of
from include.lake.frames import arrow_schema, to_arrow
from include.lake.records import Input, Writer
from include.lake.table import Lake
from include.use_cases.schema import UseCase
from tests.support.packages import tiny_rows


def publish(
    lake: Lake,
    use_case: UseCase,
    stage: str,
    month: str,
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    made_from: str | None = None,
) -> None:
    """Publish a frame's columns as one partition, with a token that is higher each time.

    It says that it was made by the definition of today, and, with `made_from`, from that month of
    that stage: so it is up to date.
    """
    table = lake.table(use_case.name, stage)
    known = month in table.partitions()
    token = table.facts(month)["token"] + 1 if known else 1
    schema: pa.Schema = arrow_schema(columns)
    inputs: list[Input] = []
    if made_from is not None:
        inputs = [lake.table(use_case.name, made_from).read_input(month)[1]]
    table.publish(
        to_arrow(frame[list(columns)], schema),
        partition=month,
        schema=schema,
        writer=Writer(run_id="test", attempt=1, token=token, code_version="test"),
        inputs=inputs,
        consumed={DEFINITION: definition_of(use_case, stage)},
    )


def fill(
    lake: Lake,
    use_case: UseCase,
    month: str,
    rows: pd.DataFrame | None = None,
    labelled: bool = True,
) -> pd.DataFrame:
    """Publish a month's clean rows, features and (for what has them) labels; returns the rows.

    `rows` are as `tiny_rows` makes them, which it is asked for by default, seeded by the month.
    """
    rows = tiny_rows(month=month, seed=int(month[-2:])) if rows is None else rows
    columns = dict(use_case.ingest.columns)
    publish(lake, use_case, "clean", month, rows, columns)
    publish(lake, use_case, "features", month, rows, columns, made_from="clean")
    if labelled and use_case.labels is not None:
        kind = "int64" if use_case.task == "classification" else "float64"
        frame = rows.assign(label=rows["outcome"].astype(kind))
        publish(
            lake,
            use_case,
            "labels",
            month,
            frame,
            {"id": "int64", "at": "timestamp", "label": kind},
        )
    return rows


def tiny_lake(
    where: Path, use_case: UseCase, months: tuple[str, ...] = ("2024-01", "2024-02")
) -> Lake:
    """Return a lake with these months in it."""
    lake = Lake(str(where / "lake"))
    for month in months:
        fill(lake, use_case, month)
    return lake
