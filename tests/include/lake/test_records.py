"""Commit metadata: what the log can hold, and how it is read back."""

from __future__ import annotations

import numpy as np
import pytest

from include.errors import DataContractError
from include.lake.records import (
    Writer,
    append_metadata,
    commit_metadata,
    commit_record,
    unchanged,
)

WRITER = Writer("r", 2, 3, "abc")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.int64(1), None, [1]])
def test_a_fact_that_the_log_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(DataContractError, match=r"facts.share: must be a string, a finite number"):
        commit_metadata("p", WRITER, rows=1, facts={"share": value})  # type: ignore[dict-item]


def test_a_commit_reads_back_flat() -> None:
    facts = {"share": 0.5, "ok": True}
    metadata = commit_metadata("p", WRITER, rows=1, columns=["a"], facts=facts)
    record = commit_record({"version": 4, "timestamp": 1500, **metadata})
    assert record == {
        "version": 4,
        "timestamp": "1970-01-01T00:00:01.500000+00:00",
        "changed": True,
        "partition": "p",
        "fence": ["p", 3],
        "run_id": "r",
        "attempt": 2,
        "token": 3,
        "code_version": "abc",
        "rows": 1,
        "columns": ["a"],
        "inputs": [],
        "consumed": {},
        "facts": {"share": 0.5, "ok": True},
    }


def test_a_commit_that_wrote_no_rows_says_so() -> None:
    metadata = commit_metadata("p", WRITER, rows=1)
    record = commit_record({"version": 4, "timestamp": 1500, **unchanged(metadata)})
    plain = commit_record({"version": 4, "timestamp": 1500, **metadata})
    assert record == {**(plain or {}), "changed": False}


def test_an_append_reads_back_with_its_run() -> None:
    metadata = append_metadata("p", "append:r", 7, 2, "run-1")
    assert commit_record({"version": 0, "timestamp": 0, **metadata}) == {
        "version": 0,
        "timestamp": "1970-01-01T00:00:00+00:00",
        "changed": True,
        "partition": "p",
        "fence": ["append:r", 7],
        "rows": 2,
        "run_id": "run-1",
    }


def test_a_commit_of_another_tool_is_no_publish() -> None:
    assert commit_record({"version": 4, "timestamp": 1500, "operation": "OPTIMIZE"}) is None
