"""A lake in a folder, and a table of one whole-number column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from include.lake.content import content_version
from include.lake.table import Lake, LakeTable, Published, Writer

SCHEMA = pa.schema([("a", pa.int64())])


def digest(values: Sequence[int | None]) -> int:
    """Return the version of a partition that holds these values."""
    return content_version(pa.table({"a": pa.array(values, pa.int64())}))


def consumed(table: LakeTable, partition: str, source: str) -> int | None:
    """Return the version of one source that a partition was made from."""
    return table.made_from({partition: [source]})[partition][source]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def table(lake: Lake) -> LakeTable:
    return lake.table("flight_delays", "raw")


@pytest.fixture
def publish() -> Callable[..., Published]:
    """Publish values of the column `a`; the token stands for the attempt."""

    def publish(
        table: LakeTable, partition: str, token: int, values: Sequence[int] = (1,), **more: object
    ) -> Published:
        return table.publish(
            pa.table({"a": pa.array(values, pa.int64())}),
            partition=partition,
            schema=SCHEMA,
            writer=Writer(f"run-{token}", 1, token, "abc"),
            **more,  # type: ignore[arg-type]
        )

    return publish
