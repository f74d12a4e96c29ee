"""Due, out of date, up to date or refused: told from what a partition was made from alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.due.definitions import DEFINITION
from include.due.remedy import remedy
from include.due.state import State, refusal_message, refuse, standing_refusals, states
from include.due.wanted import ABSENT
from include.lake.log import Log
from include.lake.table import Lake, StaleAttempt, Writer

SCHEMA = pa.schema([("a", pa.int64())])
ONE, TWO = "2024-05-01", "2024-05-02"
RAW = "churn.raw"
WANTED = {RAW: 0xAB, DEFINITION: 0xD1}
TOKENS = count(1)


def now() -> Writer:
    token = next(TOKENS)
    return Writer(f"run-{token}", 1, token, "test")


def state(lake: Lake, wanted: Mapping[str, int], key: str = ONE) -> State:
    return states("churn", "clean", {key: wanted}, lake)[key]


def make(lake: Lake, made_from: Mapping[str, int], key: str = ONE, value: int = 1) -> None:
    data = pa.table([[value]], schema=SCHEMA)
    table = lake.table("churn", "clean")
    table.publish(data, partition=key, schema=SCHEMA, writer=now(), consumed=made_from)


def refused(lake: Lake, tried: Mapping[str, int], words: str = "bad", key: str = ONE) -> None:
    refuse("churn", "clean", key, tried, words, lake, now())


def test_what_was_never_made_is_due(churn_lake: Lake) -> None:
    found = state(churn_lake, WANTED)
    assert found.due
    assert found == State(
        "due",
        "due: churn.raw, definition changed, now churn.raw 00000000000000ab, "
        "definition 00000000000000d1",
    )


def test_what_was_made_from_exactly_this_is_up_to_date(churn_lake: Lake) -> None:
    make(churn_lake, WANTED)
    found = state(churn_lake, WANTED)
    assert not found.due
    assert found == State(
        "up to date",
        "up to date: made from churn.raw 00000000000000ab, definition 00000000000000d1",
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({RAW: 0xAC}, "churn.raw"),
        ({RAW: 1, DEFINITION: 1}, "churn.raw, definition"),
        ({"churn.reference_plans": 5}, "churn.reference_plans"),
    ],
)
def test_what_changed_makes_it_due_and_is_named(
    churn_lake: Lake, change: dict[str, int], named: str
) -> None:
    make(churn_lake, WANTED)
    found = state(churn_lake, {**WANTED, **change})
    assert found.status == "due"
    assert found.because.startswith(f"due: {named} changed, now churn.raw ")


def test_another_definition_alone_makes_it_out_of_date_and_not_due(churn_lake: Lake) -> None:
    make(churn_lake, WANTED)
    found = state(churn_lake, {**WANTED, DEFINITION: 0xD2})
    assert not found.due
    assert found == State(
        "out of date",
        "out of date: its input is unchanged, but it was made by definition 00000000000000d1, "
        "now 00000000000000d2. Start churn__rebuild with phase=validate_clean, first=2024-05-01, "
        "last=2024-05-01 to make it again",
        made_by=0xD1,
    )
    make(churn_lake, {**WANTED, DEFINITION: 0xD2})
    assert state(churn_lake, {**WANTED, DEFINITION: 0xD2}).status == "up to date"
    assert state(churn_lake, WANTED).status == "out of date", "taken back, it is the other way"


def test_new_input_is_due_also_by_another_definition(churn_lake: Lake) -> None:
    make(churn_lake, WANTED)
    assert state(churn_lake, {RAW: 0xAC, DEFINITION: 0xD2}).due


def test_what_never_noted_its_definition_is_due(churn_lake: Lake) -> None:
    make(churn_lake, {RAW: 0xAB})
    assert state(churn_lake, WANTED).because.startswith("due: definition changed")


def test_what_was_cleared_is_due_whatever_made_it(churn_lake: Lake) -> None:
    make(churn_lake, WANTED)
    churn_lake.table("churn", "clean").clear(ONE, now())
    assert state(churn_lake, {**WANTED, DEFINITION: 0xD2}).due


def test_a_definition_that_was_refused_of_a_standing_result_is_not_tried_again(
    churn_lake: Lake,
) -> None:
    """A rebuild was refused: the earlier result stands until the definition is corrected."""
    make(churn_lake, WANTED)
    changed = {**WANTED, DEFINITION: 0xD2}
    refused(churn_lake, changed)
    assert state(churn_lake, changed).status == "refused"
    assert state(churn_lake, {**WANTED, DEFINITION: 0xD3}).status == "out of date"


@pytest.mark.parametrize(
    ("stage", "key", "said"),
    [
        ("features", ONE, f"churn__rebuild with phase=feature, first={ONE}, last={ONE} to"),
        ("labels", ONE, f"churn__rebuild with phase=ingest_label, first={ONE}, last={ONE} to"),
        ("reference_plans", ONE, f"churn__rebuild with phase=ingest_label, first={ONE}, last="),
        ("reference_plans", "all", "churn__ingest_label with partition=all to make it again"),
        ("decisions", ONE, f"churn__retrain_trigger with partition key {ONE} to do it again"),
    ],
)
def test_the_remedy_names_the_dag_and_its_form(stage: str, key: str, said: str) -> None:
    assert remedy("churn", stage, key, key).startswith(f"Start {said}")


def test_a_version_need_not_rise_to_be_news(churn_lake: Lake) -> None:
    """Versions are digests: the content of yesterday may come again."""
    make(churn_lake, WANTED)
    make(churn_lake, {**WANTED, RAW: 0xAC}, value=2)
    assert state(churn_lake, WANTED).due
    make(churn_lake, WANTED)
    assert state(churn_lake, WANTED).status == "up to date"


def test_the_same_outcome_from_something_else_is_up_to_date(churn_lake: Lake) -> None:
    make(churn_lake, WANTED)
    changed = {**WANTED, RAW: 0xAC}
    make(churn_lake, changed)  # the same rows: nothing is written but what they are made from
    assert state(churn_lake, changed).status == "up to date"


def test_a_source_that_is_not_there_is_no_news_until_it_comes(churn_lake: Lake) -> None:
    without = {**WANTED, "churn.labels": ABSENT}
    make(churn_lake, WANTED)  # labels were not even mentioned
    found = state(churn_lake, without)
    assert found.status == "up to date"
    assert found.because.endswith("churn.labels (absent)")
    came = {**WANTED, "churn.labels": 7}
    assert state(churn_lake, came).because.startswith("due: churn.labels changed")
    make(churn_lake, came)
    assert state(churn_lake, came).status == "up to date"
    assert state(churn_lake, without).because.startswith("due: churn.labels changed")  # and went
    make(churn_lake, without)
    assert state(churn_lake, without).status == "up to date"


def test_what_was_cleared_is_due_again_from_the_same_input(churn_lake: Lake) -> None:
    make(churn_lake, WANTED)
    churn_lake.table("churn", "clean").clear(ONE, now())
    assert state(churn_lake, WANTED).status == "due"
    make(churn_lake, WANTED)
    assert state(churn_lake, WANTED).status == "up to date"


def test_a_refused_input_is_not_tried_again(churn_lake: Lake) -> None:
    refused(churn_lake, WANTED)
    found = state(churn_lake, WANTED)
    assert not found.due
    assert found == State(
        "refused",
        "refused before, and nothing has changed since: clean of churn.raw 00000000000000ab, "
        "definition 00000000000000d1. Correct the input or the definition, or clear this task to "
        "try it once more",
    )


@pytest.mark.parametrize("change", [{RAW: 0xAC}, {DEFINITION: 0xD2}, {"churn.labels": ABSENT}])
def test_a_refused_input_that_changed_is_due(churn_lake: Lake, change: dict[str, int]) -> None:
    refused(churn_lake, WANTED)
    assert state(churn_lake, {**WANTED, **change}).due
    assert state(churn_lake, WANTED).status == "refused"


def test_a_refused_change_leaves_the_partition_as_it_was_made_before(churn_lake: Lake) -> None:
    make(churn_lake, WANTED)
    changed = {**WANTED, RAW: 0xAC}
    refused(churn_lake, changed)
    assert state(churn_lake, changed).status == "refused"
    assert state(churn_lake, WANTED).status == "up to date"  # the input was taken back


def test_a_refused_input_that_was_made_after_all_is_up_to_date(churn_lake: Lake) -> None:
    """A person had it tried once more, and the trouble was elsewhere."""
    refused(churn_lake, WANTED)
    make(churn_lake, WANTED)
    assert state(churn_lake, WANTED).status == "up to date"


def test_of_several_refusals_the_last_counts(churn_lake: Lake) -> None:
    changed = {**WANTED, RAW: 0xAC}
    refused(churn_lake, WANTED, "first")
    refused(churn_lake, changed, "second")
    assert state(churn_lake, changed).status == "refused"
    assert state(churn_lake, WANTED).due
    assert refusal_message("churn", "clean", ONE, churn_lake) == "second"


def test_the_order_in_which_sources_are_named_does_not_count(churn_lake: Lake) -> None:
    refused(churn_lake, WANTED)
    assert state(churn_lake, dict(reversed(WANTED.items()))).status == "refused"


def test_a_refusal_is_of_one_stage_and_one_partition(churn_lake: Lake) -> None:
    refused(churn_lake, WANTED)
    assert state(churn_lake, WANTED, TWO).due
    assert states("churn", "features", {ONE: WANTED}, churn_lake)[ONE].due
    assert states("other", "clean", {ONE: WANTED}, churn_lake)[ONE].due
    assert refusal_message("churn", "clean", TWO, churn_lake) is None
    assert refusal_message("churn", "features", ONE, churn_lake) is None
    assert refusal_message("other", "clean", ONE, churn_lake) is None


def test_a_refusal_is_on_record(churn_lake: Lake) -> None:
    before = datetime.now(UTC)
    writer = now()
    refuse("churn", "reference_plans", "all", WANTED, "key 'gold' twice", churn_lake, writer)
    [row] = churn_lake.table("churn", "refusals").read().to_pylist()
    assert before <= row.pop("refused_at") <= datetime.now(UTC)
    assert json.loads(row.pop("inputs")) == WANTED
    assert row == {
        "stage": "reference_plans",
        "key": "all",
        "words": "key 'gold' twice",
        "run_id": writer.run_id,
        "partition": "reference_plans.all",
    }


def test_the_same_refusal_again_is_the_same_refusal(churn_lake: Lake) -> None:
    refused(churn_lake, WANTED)
    table = churn_lake.table("churn", "refusals")
    before = table.read()
    refused(churn_lake, WANTED)
    assert table.read().equals(before)
    assert state(churn_lake, WANTED).status == "refused"


def test_an_overtaken_attempt_refuses_nothing(churn_lake: Lake) -> None:
    late = now()
    changed = {**WANTED, RAW: 0xAC}
    refused(churn_lake, changed, "of the retry")
    with pytest.raises(StaleAttempt):
        refuse("churn", "clean", ONE, WANTED, "of the attempt before", churn_lake, late)
    assert state(churn_lake, changed).status == "refused"


def test_only_refusals_that_stand_are_listed(churn_lake: Lake) -> None:
    changed = {**WANTED, RAW: 0xAC}
    refused(churn_lake, WANTED, "stands")
    refused(churn_lake, WANTED, "its input has changed", key=TWO)
    refused(churn_lake, WANTED, "made after all", key="2024-05-03")
    make(churn_lake, WANTED, key="2024-05-03")
    wanted = {ONE: WANTED, TWO: changed, "2024-05-03": WANTED, "2024-05-04": WANTED}
    assert standing_refusals("churn", "clean", wanted, churn_lake) == {ONE: "stands"}


def test_many_partitions_are_told_from_one_look_at_each_table(
    churn_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"2024-05-{day:02}" for day in range(1, 7)]
    make(churn_lake, WANTED, key=keys[0])
    refused(churn_lake, WANTED, key=keys[1])
    looks: list[str] = []
    look = Log.open

    def counted(store: Log, version: int | None = None) -> object:
        looks.append(store.name)
        return look(store, version)

    monkeypatch.setattr(Log, "open", counted)
    found = states("churn", "clean", dict.fromkeys(keys, WANTED), churn_lake)
    assert [one.status for one in found.values()] == ["up to date", "refused", *["due"] * 4]
    assert list(found) == keys
    assert sorted(looks) == ["churn.clean", "churn.refusals"]


def test_nothing_wanted_is_not_even_looked_for(
    churn_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Log, "open")
    assert states("churn", "clean", {}, churn_lake) == {}


VERSIONS = st.sampled_from([WANTED, {**WANTED, RAW: 0xAC}, {**WANTED, DEFINITION: 0xD2}])
EVENTS = st.lists(st.tuples(st.sampled_from(["made", "refused", "cleared"]), VERSIONS), max_size=5)


@settings(max_examples=40, deadline=None)
@given(EVENTS, VERSIONS)
def test_after_any_history_the_last_of_each_kind_decides(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[str, dict[str, int]]],
    wanted: dict[str, int],
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    made: dict[str, int] | None = None
    tried: dict[str, int] | None = None
    for number, (kind, versions) in enumerate(events):
        if kind == "made":
            make(lake, versions, value=number % 2)
            made = versions
        elif kind == "refused":
            refused(lake, versions)
            tried = versions
        else:
            lake.table("churn", "clean").clear(ONE, now())
            made = None
    expected = "due"
    if made == wanted:
        expected = "up to date"
    elif tried == wanted:
        expected = "refused"
    elif made is not None and made[RAW] == wanted[RAW]:
        expected = "out of date"
    assert state(lake, wanted).status == expected
