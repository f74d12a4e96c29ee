"""A training on partitions of other definitions than today's: found, refused or named."""

from __future__ import annotations

from itertools import count
from typing import Any

import pyarrow as pa
import pytest

from include.due.definitions import DEFINITION, definition_of
from include.due.mixed import (
    MadeBefore,
    check_definitions,
    definitions_version,
    made_before,
    named_in_tags,
)
from include.due.recorded import changes_since, record_definitions
from include.due.stages import STAGES, upstream
from include.errors import DataContractError
from include.lake.table import Lake, Writer
from include.use_cases.schema import UseCase

KEYS = ["2024-05-01", "2024-05-02", "2024-05-03"]
TOKENS = count(1)


def writer() -> Writer:
    token = next(TOKENS)
    return Writer(f"run-{token}", 1, token, "abc123")


def make(lake: Lake, stage: str, key: str, made_by: int | None) -> None:
    data = pa.table({"a": [1]})
    consumed = {} if made_by is None else {DEFINITION: made_by}
    lake.table("churn", stage).publish(
        data, partition=key, schema=data.schema, writer=writer(), consumed=consumed
    )


def changed(use_case: UseCase, section: str, **values: Any) -> UseCase:
    part = getattr(use_case, section).model_copy(update=values)
    return use_case.model_copy(update={section: part})


def naming(use_case: UseCase) -> UseCase:
    return changed(use_case, "train", mixed_definitions="name")


@pytest.fixture
def full(churn: UseCase, churn_lake: Lake) -> Lake:
    """Fill a lake: three days of all that a training rests on, made by the definitions of today."""
    for stage in ("raw", "labels", "clean", "features"):
        for key in KEYS:
            make(churn_lake, stage, key, definition_of(churn, stage))
    make(churn_lake, "reference_plans", "all", definition_of(churn, "reference_plans"))
    return churn_lake


def test_what_a_training_rests_on_begins_at_the_landing() -> None:
    assert upstream("features", "labels") == ["raw", "reference", "clean", "labels", "features"]
    assert set(upstream("training")) == {*upstream("features", "labels"), "training"}
    assert next(iter(STAGES)) == "raw"


@pytest.mark.parametrize("how", ["refuse", "name"])
def test_all_of_today_is_neither_refused_nor_named(churn: UseCase, full: Lake, how: str) -> None:
    use_case = changed(churn, "train", mixed_definitions=how)
    assert check_definitions(use_case, full, KEYS) == []
    assert named_in_tags([]) == {}


@pytest.mark.parametrize("stage", ["raw", "labels", "clean", "features"])
def test_one_partition_of_another_definition_is_found_in_each_table(
    churn: UseCase, full: Lake, stage: str
) -> None:
    make(full, stage, KEYS[1], 0xD1)
    assert made_before(churn, full, KEYS) == [MadeBefore(stage, [KEYS[1]], 0xD1)]
    assert made_before(churn, full, [KEYS[0], KEYS[2]]) == [], "no part of this training"


def test_a_reference_that_lands_whole_is_part_of_it(churn: UseCase, full: Lake) -> None:
    make(full, "reference_plans", "all", 0xD1)
    assert made_before(churn, full, KEYS) == [MadeBefore("reference_plans", ["all"], 0xD1)]


def test_all_of_one_earlier_definition_is_not_of_today_either(churn: UseCase, full: Lake) -> None:
    """A model carries today's Python: rows that another Python made are not what it will see."""
    edited = changed(churn, "features", numeric=["calls"])
    (found,) = made_before(edited, full, KEYS)
    assert (found.stage, found.keys) == ("features", KEYS)
    assert found.made_by == definition_of(churn, "features")


def test_two_earlier_definitions_are_told_apart(churn: UseCase, full: Lake) -> None:
    make(full, "labels", KEYS[0], 0xD1)
    make(full, "labels", KEYS[1], 0xD2)
    make(full, "labels", "2024-05-04", None)  # nothing was ever noted
    assert made_before(churn, full, [*KEYS, "2024-05-04"]) == [
        MadeBefore("labels", [KEYS[0]], 0xD1),
        MadeBefore("labels", [KEYS[1]], 0xD2),
        MadeBefore("labels", ["2024-05-04"], None),
    ]


def test_the_refusal_says_which_partitions_why_and_how_to_rebuild_them(
    churn: UseCase, full: Lake
) -> None:
    before = changed(churn, "labels", rule="<= 60")
    record_definitions(before, ["labels"], full, writer())
    make(full, "labels", KEYS[0], definition_of(before, "labels"))
    make(full, "labels", KEYS[1], definition_of(before, "labels"))
    with pytest.raises(
        DataContractError,
        match=r"^churn: the partitions of a training must be made by the definitions of today "
        r"\(train\.mixed_definitions: refuse\), but 1 were not: labels of 2024-05-01, 2024-05-02 "
        r"\(made by the definition of 20\d\d-\d\d-\d\d \d\d:\d\d; changed since: labels\)\. Start "
        r"churn__rebuild with phase=ingest_label, first=2024-05-01, last=2024-05-02 to make it "
        r"again\. Or set train\.mixed_definitions to 'name' to train on them, named in the model",
    ):
        check_definitions(churn, full, KEYS)


def test_named_it_goes_into_the_tags_bounded(churn: UseCase, full: Lake) -> None:
    make(full, "features", KEYS[0], 0xD1)
    (told,) = check_definitions(naming(churn), full, KEYS)
    assert told.startswith(
        "features of 2024-05-01 (made by definition 00000000000000d1, whose parts were not noted). "
        "Start churn__rebuild with phase=feature, "
    )
    tags = named_in_tags([told])
    assert tags["mixed_definitions"] == told
    assert tags["mlflow.note.content"].endswith(told)
    assert all(len(text) <= 5000 for text in named_in_tags([told] * 99).values())


def test_many_partitions_are_named_as_a_range(churn: UseCase, churn_lake: Lake) -> None:
    keys = [f"2024-05-{day:02}" for day in range(1, 21)]
    for key in keys:
        make(churn_lake, "labels", key, 0xD1)
    (told,) = check_definitions(naming(churn), churn_lake, keys)
    assert told.startswith("labels of 20 partitions from 2024-05-01 to 2024-05-20 (")


def test_the_version_of_the_definitions_follows_each_of_them(churn: UseCase, full: Lake) -> None:
    versions = [definitions_version(churn, full, KEYS)]
    make(full, "labels", KEYS[1], 0xD1)  # the same rows, by another definition
    versions.append(definitions_version(churn, full, KEYS))
    versions.append(definitions_version(changed(churn, "features", numeric=["calls"]), full, KEYS))
    assert len(set(versions)) == 3
    make(full, "labels", KEYS[1], definition_of(churn, "labels"))
    assert definitions_version(churn, full, KEYS) == versions[0]


# Which definitions there were


def test_a_definition_is_noted_once(churn: UseCase, churn_lake: Lake) -> None:
    tables = ["clean", "features"]
    assert record_definitions(churn, tables, churn_lake, writer()) == tables
    table = churn_lake.table("churn", "definitions")
    version = table.version()
    assert record_definitions(churn, tables, churn_lake, writer()) == []
    assert table.version() == version, "nothing is written at the next look"
    edited = changed(churn, "features", numeric=["calls"])
    assert record_definitions(edited, tables, churn_lake, writer()) == ["features"]
    assert [row["code"] for row in table.read().to_pylist()] == ["abc123"] * 3


def test_each_part_that_changed_is_named(
    churn: UseCase, churn_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from include.due import stages

    before = definition_of(churn, "clean")
    record_definitions(churn, ["clean"], churn_lake, writer())
    edited = changed(churn, "validation", max_quarantined_share=0.5)
    raised = replace(STAGES["clean"], code_version=STAGES["clean"].code_version + 1)
    monkeypatch.setitem(stages.STAGES, "clean", raised)
    told = changes_since(edited, "clean", before, churn_lake)
    number = raised.code_version
    assert told.endswith(f"; changed since: validate, code version {number - 1} -> {number}")
    assert changes_since(edited, "clean", None, churn_lake) == (
        "made by a definition that was not noted"
    )
