from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.due.state import states
from include.due.wanted import wanted_clean
from include.errors import DataContractError
from include.lake.content import content_version
from include.lake.frames import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.loader import load, load_suite
from include.use_cases.schema import UseCase
from include.validate_clean.expectations import check
from include.validate_clean.validate import validate_and_clean

DAY = "2024-05-01"
AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
Row = tuple[int | None, str | None, int | None, float | None]

#: Four good rows (one repeats a key), and one without plan.
ROWS: list[Row] = [
    (1, "a", 1, 1.0),
    (2, "b", 2, 2.0),
    (1, "a", 3, 3.0),
    (3, None, 4, 4.0),
    (4, "d", 5, None),
]


def publish(use_case: UseCase, lake: Lake, rows: list[Row], token: int = 1) -> None:
    schema = arrow_schema(use_case.ingest.columns)
    names = ("customer", "plan", "calls", "bill")
    records = [{**dict(zip(names, row, strict=True)), "seen_at": AT} for row in rows]
    table = pa.Table.from_pylist(records, schema=schema)
    lake.table("churn", "raw").publish(
        table, partition=DAY, schema=schema, writer=Writer("raw", 1, token, "test")
    )


def status(use_case: UseCase, lake: Lake) -> str:
    return states("churn", "clean", wanted_clean(use_case, lake), lake)[DAY].status


def test_a_suite_that_is_edited_meanwhile_leaves_the_partition_out_of_date(
    churn: UseCase, churn_lake: Lake, first: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the old one let pass must not count as checked by the new one."""
    publish(churn, churn_lake, ROWS)

    def check_and_edit(*given: Any) -> Any:
        checked = check(*given)
        stricter = load_suite(churn).model_copy(update={"expectations": []})
        monkeypatch.setattr("include.due.definitions.load_suite", lambda _: stricter)
        return checked

    monkeypatch.setattr("include.validate_clean.validate.check", check_and_edit)
    validate_and_clean(churn, DAY, churn_lake, first)
    assert status(churn, churn_lake) == "out of date"


def test_good_rows_are_clean_and_bad_ones_set_aside_with_the_reason(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    publish(churn, churn_lake, ROWS)
    assert status(churn, churn_lake) == "due"
    done = validate_and_clean(churn, DAY, churn_lake, first)
    clean = churn_lake.table("churn", "clean")
    rows = clean.read(columns=list(churn.ingest.columns))
    assert json.loads(json.dumps(dataclasses.asdict(done))) == {
        "partition": DAY,
        "rows_in": 5,
        "rows_quarantined": 1,
        "rows_clean": 3,
        "rows_dropped": 0,
        "rows_superseded": 1,
        "cells_filled": 0,
        "noise_cells": 0,
        "reasons": {"expect_column_values_to_not_be_null(plan)": 1},
        "version": 0,
        "partition_version": content_version(rows),
        "quarantine_version": 0,
        "changed": True,
    }
    assert clean.schema() == arrow_schema(churn.ingest.columns)
    # Of customer 1 the last row stays.
    assert clean.read(columns=["customer", "calls"]).to_pylist() == [
        {"customer": 2, "calls": 2},
        {"customer": 1, "calls": 3},
        {"customer": 4, "calls": 5},
    ]
    [bad] = churn_lake.table("churn", "quarantine").read().to_pylist()
    assert (bad["customer"], bad["reason"]) == (3, "expect_column_values_to_not_be_null(plan)")
    assert status(churn, churn_lake) == "up to date"


def test_all_reasons_of_a_row_are_kept(churn: UseCase, churn_lake: Lake, first: Writer) -> None:
    publish(churn, churn_lake, [*ROWS[:3], ROWS[4], (None, None, -1, 0.0)])
    done = validate_and_clean(churn, DAY, churn_lake, first)
    [bad] = churn_lake.table("churn", "quarantine").read().to_pylist()
    assert bad["reason"] == (
        "expect_column_values_to_not_be_null(plan); expect_column_values_to_be_between(calls); "
        "key column missing (customer)"
    )
    assert done.rows_quarantined == 1
    assert done.reasons["key column missing (customer)"] == 1


def test_a_partition_made_good_has_no_quarantine_any_more(
    churn: UseCase, churn_lake: Lake, first: Writer, second: Writer
) -> None:
    publish(churn, churn_lake, ROWS)
    validate_and_clean(churn, DAY, churn_lake, first)
    publish(churn, churn_lake, ROWS[:3], token=2)
    assert validate_and_clean(churn, DAY, churn_lake, second).quarantine_version is None
    assert churn_lake.table("churn", "quarantine").partitions() == []
    assert churn_lake.table("churn", "clean").read().num_rows == 2


def test_a_refused_row_that_came_again_changes_nothing_for_those_who_read_clean_rows(
    churn: UseCase, churn_lake: Lake, first: Writer, second: Writer
) -> None:
    publish(churn, churn_lake, ROWS)
    before = validate_and_clean(churn, DAY, churn_lake, first)
    bad: Row = (9, None, 4, 4.0)
    publish(churn, churn_lake, [*ROWS[:3], bad, ROWS[4]], token=2)
    assert status(churn, churn_lake) == "due"
    done = validate_and_clean(churn, DAY, churn_lake, second)
    assert (done.changed, done.partition_version) == (False, before.partition_version)
    [quarantined] = churn_lake.table("churn", "quarantine").read().to_pylist()
    assert quarantined["customer"] == 9
    assert status(churn, churn_lake) == "up to date"


def test_a_changed_suite_puts_the_partition_out_of_date_and_the_outcome_tells_what_changed(
    churn: UseCase, churn_root: Path, churn_lake: Lake, first: Writer, second: Writer
) -> None:
    publish(churn, churn_lake, ROWS)
    validate_and_clean(churn, DAY, churn_lake, first)
    suite = churn_root / "churn" / "expectations.yaml"
    suite.write_text(suite.read_text().replace("max_value: 1000", "max_value: 500"))
    assert status(churn, churn_lake) == "out of date"
    assert not validate_and_clean(churn, DAY, churn_lake, second).changed
    assert status(churn, churn_lake) == "up to date"


def test_a_rerun_of_the_same_attempt_changes_nothing(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    publish(churn, churn_lake, ROWS)
    done = validate_and_clean(churn, DAY, churn_lake, first)
    assert validate_and_clean(churn, DAY, churn_lake, first) == done
    assert churn_lake.table("churn", "quarantine").read().num_rows == 1


def refused(churn: UseCase, lake: Lake, writer: Writer, rows: list[Row], message: str) -> None:
    publish(churn, lake, rows)
    with pytest.raises(DataContractError, match=message):
        validate_and_clean(churn, DAY, lake, writer)
    assert not lake.table("churn", "clean").exists()
    assert not lake.table("churn", "quarantine").exists()


def test_too_large_a_share_of_bad_rows_refuses_the_batch(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    rows: list[Row] = [ROWS[0], ROWS[1], ROWS[3], (5, "e", -1, 0.0)]
    message = (
        r"at most 25.0% of rows may be quarantined .* got 50.0%, 2 of 4: .*not_be_null\(plan\)': 1"
    )
    refused(churn, churn_lake, first, rows, message)


def test_exactly_the_allowed_share_is_allowed(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    publish(churn, churn_lake, [ROWS[0], ROWS[1], ROWS[3], ROWS[4]])
    assert validate_and_clean(churn, DAY, churn_lake, first).rows_quarantined == 1


def test_a_failed_batch_expectation_refuses_the_batch(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    message = "batch 2024-05-01 is refused by .*expectations.yaml: expect_table_row_count.*got 1"
    refused(churn, churn_lake, first, ROWS[:1], message)


def test_a_batch_of_which_nothing_is_left_is_refused(
    churn: UseCase, churn_root: Path, churn_lake: Lake, first: Writer
) -> None:
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text() + "clean: {missing: {bill: drop}}\n")
    rows: list[Row] = [(1, "a", 1, None), (2, "b", 2, None)]
    message = "must have clean rows, but of 2 none is left .*dropped: 2"
    refused(load(churn_root / "churn"), churn_lake, first, rows, message)


def test_without_raw_rows_the_message_says_what_to_run(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    with pytest.raises(DataContractError, match=r"churn.raw has nothing yet"):
        validate_and_clean(churn, DAY, churn_lake, first)


# Corrections


def quarantined(lake: Lake) -> dict[object, str]:
    rows = lake.table("churn", "quarantine").read().to_pylist()
    return {row["customer"]: row["reason"] for row in rows}


def clean_calls(lake: Lake) -> dict[int, int]:
    rows = lake.table("churn", "clean").read(columns=["customer", "calls"]).to_pylist()
    return {row["customer"]: row["calls"] for row in rows}


BAD_CALLS = "expect_column_values_to_be_between(calls)"


def test_a_bad_correction_does_not_bring_back_the_row_that_it_corrects(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    corrections: list[Row] = [(1, "a", -7, 1.0)]
    good: list[Row] = [(number, "a", number, 1.0) for number in range(1, 6)]
    publish(churn, churn_lake, [*good, *corrections])
    done = validate_and_clean(churn, DAY, churn_lake, first)
    assert quarantined(churn_lake) == {1: f"{BAD_CALLS}; supersedes a row that was valid"}
    assert clean_calls(churn_lake) == {2: 2, 3: 3, 4: 4, 5: 5}
    assert (done.rows_in, done.rows_superseded, done.rows_quarantined) == (6, 1, 1)


def test_only_a_row_that_was_valid_is_said_to_have_been(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    good: list[Row] = [(number, "a", number, 1.0) for number in range(3, 10)]
    once_bad: list[Row] = [(1, None, 1, 1.0), (1, "a", -1, 1.0)]
    good_between: list[Row] = [(2, None, 1, 1.0), (2, "a", 1, 1.0), (2, "a", -2, 1.0)]
    publish(churn, churn_lake, [*good, *once_bad, *good_between])
    validate_and_clean(churn, DAY, churn_lake, first)
    assert quarantined(churn_lake) == {
        1: BAD_CALLS,
        2: f"{BAD_CALLS}; supersedes a row that was valid",
    }


def test_a_good_correction_of_a_bad_row_is_clean(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    publish(churn, churn_lake, [(1, "a", -1, 1.0), (2, "a", 2, 1.0), (1, "a", 1, 1.0)])
    assert validate_and_clean(churn, DAY, churn_lake, first).quarantine_version is None
    assert clean_calls(churn_lake) == {1: 1, 2: 2}


def test_rows_without_their_key_correct_nothing(
    churn: UseCase, churn_lake: Lake, first: Writer
) -> None:
    good: list[Row] = [(number, "a", number, 1.0) for number in range(1, 9)]
    publish(churn, churn_lake, [*good, (None, "a", 1, 1.0), (None, "b", 1, 1.0)])
    assert validate_and_clean(churn, DAY, churn_lake, first).rows_quarantined == 2


def test_a_column_may_say_which_correction_stands(
    churn: UseCase, churn_root: Path, churn_lake: Lake, first: Writer, second: Writer
) -> None:
    """The bill, say, is raised with each correction: 9 before 3, although 3 landed last."""
    publish(churn, churn_lake, [(1, "a", 9, 9.0), (2, "a", 2, 1.0), (1, "a", 3, 3.0)])
    validate_and_clean(churn, DAY, churn_lake, first)
    assert clean_calls(churn_lake) == {1: 3, 2: 2}
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace("ingest:", "ingest:\n  corrections: {by: bill}", 1))
    by_bill = load(churn_root / "churn")
    assert status(by_bill, churn_lake) == "out of date"
    validate_and_clean(by_bill, DAY, churn_lake, second)
    assert clean_calls(churn_lake) == {1: 9, 2: 2}
