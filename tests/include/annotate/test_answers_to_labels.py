"""From answers to labels: none is lost, none is invented, in whichever order answers come."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.annotate.choosing import choose_round
from include.annotate.publish import publish_people
from include.due.mixed import made_before
from include.ingest_label.ingest import ingest_labels
from include.ingest_label.landing import Landing
from include.labelling.answers import read_answers, record_answers
from include.labelling.asking import Answer, Box, Round, item_id
from include.labelling.boxes import read_boxes
from include.labelling.history import LabelHistory
from include.labelling.rounds import read_round
from include.lake.schemas import CHOSEN, arrow_schema
from include.lake.table import Lake, LakeTable
from include.use_cases.schema import UseCase
from tests.include.annotate.test_choosing import answered, record
from tests.include.conftest import writer
from tests.support.scans import DAY, land

NAMES = {"letter": 0, "bill": 1, "form": 2}
UNKNOWN = "f" * 16


def labels_of(use_case: UseCase, lake: Lake) -> dict[int, int]:
    table = lake.table(use_case.name, "labels")
    rows = table.read([DAY]).to_pylist() if DAY in table.partitions() else []
    return {row["scan"]: row["label"] for row in rows}


ANSWERS = st.lists(
    st.tuples(
        st.integers(0, 3),  # the last is no item of the round
        st.sampled_from(["ann", "bob", "cid", "mallory", None]),
        st.sampled_from([*NAMES, "Skip", "cheque", None]),
        st.integers(0, 6),  # minutes after asking; the round is closed after 5
        st.sampled_from("xy"),
    ),
    max_size=14,
)


def expected(given_: list[tuple[Any, ...]]) -> dict[int, int]:
    """Say it in another way: of each trusted annotator the last valid word, then the majority."""
    last: dict[tuple[int, str], tuple[Any, ...]] = {}
    for item, who, answer, minute, name in given_:
        valid = item < 3 and who in ("ann", "bob", "cid") and answer != "cheque" and minute <= 5
        word = (minute, f"{name}{minute}", answer or "", answer)
        if (valid and (item, who) not in last) or (valid and word[:3] > last[item, who][:3]):
            last[item, who] = word
    votes: dict[int, list[int]] = defaultdict(list)
    for (item, _), word in last.items():
        if word[3] in NAMES:
            votes[item].append(NAMES[word[3]])
    found = {item: Counter(of_item).most_common(1)[0] for item, of_item in votes.items()}
    return {item: one for item, (one, count) in found.items() if 2 * count > len(votes[item])}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(said=ANSWERS, data=st.data())
def test_no_label_is_lost_or_invented_whatever_the_order(make, said, data):
    scans = make({"trusted": ["ann", "bob", "cid"], "items": 3})
    order = data.draw(st.permutations(said))
    cut = data.draw(st.integers(0, len(said)))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        land(scans, lake, count=5)
        asked = choose_round(scans, DAY, lake, writer(1))
        ids = [*(one.item for one in asked.items), UNKNOWN]
        close = asked.asked_at + timedelta(minutes=5)

        def answer(one: tuple[Any, ...]) -> Answer:
            item, who, word, minute, name = one
            at = asked.asked_at + timedelta(minutes=minute)
            return Answer(ids[item], who, word, at, f"{name}{minute}")

        for part in (order[:cut], order[cut:], order[:1]):
            record(scans, lake, asked, [answer(one) for one in part], closed_at=close)
        publish_people(scans, DAY, lake, writer(20))
        scan_of = {place: one.key["scan"] for place, one in enumerate(asked.items)}
        wanted = {scan_of[item]: label for item, label in expected(said).items()}
        assert labels_of(scans, lake) == wanted
        # Every answer that came is there, once.
        rows = read_answers(scans, DAY, lake).to_pylist()
        held = Counter(
            (ids.index(row["_item"]), row["_annotator"], row["_answer"], row["_external"])
            for row in rows
            if not row["_external"].startswith("round")
        )
        came = {(item, who, word, f"{name}{minute}") for item, who, word, minute, name in said}
        assert held == Counter(came)


def test_two_who_record_at_the_same_time_lose_no_answer_and_write_none_twice(
    scans, lake, monkeypatch
):
    land(scans, lake)
    asked = choose_round(scans, DAY, lake, writer(1))
    mine, other = asked.items[0], asked.items[1]
    append, beside = LakeTable.append, []

    def late(table: LakeTable, *arguments: Any, **named: Any) -> int | None:
        if not beside:
            beside.append("once")
            both = [answered(mine), answered(other)]
            record_answers(scans, DAY, 1, both, lake, writer(5), via="airflow")
        return append(table, *arguments, **named)

    monkeypatch.setattr(LakeTable, "append", late)
    first = replace(answered(mine), answered_at=asked.asked_at)
    done = record_answers(scans, DAY, 1, [first], lake, writer(5), via="airflow")
    rows = read_answers(scans, DAY, lake).to_pylist()
    assert len(rows) == 3
    assert done.verdicts == {"repeated": 1, "counts": 2}


def test_classes_that_change_between_asking_and_answering_lose_nothing(make, lake):
    scans = make()
    land(scans, lake)
    asked = choose_round(scans, DAY, lake, writer(1))
    changed = make(labels={"classes": ["cheque", "letter", "bill"]})  # form is gone, cheque is new
    words = ["cheque", "letter", "form", "bill"]
    answers = [answered(one, answer=w) for one, w in zip(asked.items, words, strict=False)]
    record(changed, lake, asked, answers)
    publish_people(changed, DAY, lake, writer(9))
    scans_asked = [one.key["scan"] for one in asked.items]
    assert labels_of(changed, lake) == {scans_asked[0]: 0, scans_asked[1]: 1, scans_asked[3]: 2}
    again = make(labels={"classes": ["letter", "bill", "form"]})
    publish_people(again, DAY, lake, writer(10))
    assert labels_of(again, lake) == {scans_asked[1]: 0, scans_asked[2]: 2, scans_asked[3]: 1}
    versions = LabelHistory(again, lake).table.read([DAY]).to_pylist()
    of_one = [row["label"] for row in versions if row["scan"] == scans_asked[1]]
    assert sorted(of_one) == [0, 1], "what it was is kept"


def test_an_annotator_that_is_trusted_no_longer_loses_the_labels_and_the_record_stays(make, lake):
    scans = make()
    land(scans, lake)
    asked = choose_round(scans, DAY, lake, writer(1))
    record(scans, lake, asked, [answered(one, "mallory") for one in asked.items])
    publish_people(scans, DAY, lake, writer(9))
    assert len(labels_of(scans, lake)) == 10
    changed = make({"trusted": ["ann"]})
    done = publish_people(changed, DAY, lake, writer(10))
    assert labels_of(changed, lake) == {}
    assert (done.labelled, done.changed) == (0, True)
    assert LabelHistory(changed, lake).known(DAY).num_rows == 0
    assert read_answers(changed, DAY, lake).num_rows == 10


def test_a_row_that_was_corrected_loses_the_label_of_what_people_saw_and_is_asked_again(make, lake):
    scans = make()
    rows = land(scans, lake)
    asked = choose_round(scans, DAY, lake, writer(1))
    gone, changed = asked.items[0].key["scan"], asked.items[1].key["scan"]
    kept = rows.filter(pc.not_equal(rows["scan"], gone))
    ink = [9.0 if row["scan"] == changed else row["ink"] for row in kept.to_pylist()]
    corrected = kept.set_column(1, "ink", pa.array(ink))
    clean = lake.table("scans", "clean")
    clean.publish(corrected, partition=DAY, schema=corrected.schema, writer=writer(5))
    record(scans, lake, asked, [answered(one) for one in asked.items])
    publish_people(scans, DAY, lake, writer(9))
    asked_scans = {one.key["scan"] for one in asked.items}
    assert set(labels_of(scans, lake)) == asked_scans - {gone, changed}
    told = {row["scan"]: row["_verdict"] for row in read_answers(scans, DAY, lake).to_pylist()}
    assert {scan for scan, said in told.items() if said == "row corrected"} == {changed}
    again = [one for one in read_round(scans, DAY, 1, lake).items if not one.row]
    assert {one.key["scan"] for one in again} == {gone, changed}, "nobody is asked about them now"
    studio = make({"items": 500, "ask": "label_studio", "connection": "label_studio"})
    everything = choose_round(studio, DAY, lake, writer(12))
    assert changed in {one.key["scan"] for one in everything.items}
    clean.publish(rows, partition=DAY, schema=rows.schema, writer=writer(13))
    publish_people(scans, DAY, lake, writer(14))
    assert set(labels_of(scans, lake)) == asked_scans, "the rows are back, and so are their labels"


@pytest.mark.parametrize("unseen", [True, False])
def test_only_what_people_see_of_a_row_is_compared(make, lake, unseen):
    scans = make({"show": ["folds"]})
    rows = land(scans, lake)
    asked = choose_round(scans, DAY, lake, writer(1))
    record(scans, lake, asked, [answered(one) for one in asked.items])
    column = rows.column_names.index("ink" if unseen else "folds")
    other = rows.set_column(column, rows.schema.field(column), pa.array([9.0] * rows.num_rows))
    lake.table("scans", "clean").publish(
        other, partition=DAY, schema=other.schema, writer=writer(5)
    )
    changed = make({"show": ["ink"]})  # what is shown from now on says nothing of what was shown
    assert publish_people(changed, DAY, lake, writer(9)).labelled == (10 if unseen else 0)


def test_keys_of_several_columns_and_times_come_through(make, lake):
    columns = {"scan": "int64", "at": "timestamp", "who": "string", "ink": "float64"}
    many = make(
        ingest={"key": ["who", "at", "scan"], "columns": columns},
        features={"inputs": ["ink"], "numeric": ["ink"]},
    )
    at = datetime(2024, 5, 1, 10, tzinfo=UTC)
    keys = [("a", at, 1), ("a", at, 2), ("b", at, 1), ("a", at + timedelta(microseconds=1), 1)]
    rows = pa.table(
        {
            "scan": [scan for _, _, scan in keys],
            "at": [moment for _, moment, _ in keys],
            "who": [who for who, _, _ in keys],
            "ink": [float(place) for place in range(4)],
        },
        schema=arrow_schema(columns),
    )
    lake.table("scans", "clean").publish(rows, partition=DAY, schema=rows.schema, writer=writer(1))
    asked = choose_round(many, DAY, lake, writer(2))
    assert len({one.item for one in asked.items}) == 4
    words = list(NAMES)
    answers = [answered(one, answer=words[int(one.row["ink"]) % 3]) for one in asked.items]
    record(many, lake, asked, answers)
    publish_people(many, DAY, lake, writer(3))
    told = lake.table("scans", "labels").read([DAY]).to_pylist()
    found = {(row["who"], row["at"], row["scan"]): row["label"] for row in told}
    assert found == {key: place % 3 for place, key in enumerate(keys)}
    assert {row[CHOSEN] for row in told} == {"random"}


@pytest.mark.parametrize(
    ("before", "after", "texts"),
    [("int64", "string", str), ("string", "int64", "{:03}".format), ("float64", "string", str)],
)
def test_labels_and_boxes_stay_when_the_type_of_the_key_is_migrated(
    make, lake, before, after, texts
):
    def landed(kind: str, token: int, migrations: Any = ()) -> None:
        columns = {"scan": kind, "ink": "float64", "folds": "float64"}
        keys = [float(one) if kind == "float64" else one for one in range(20)]
        scans = [texts(one) for one in keys] if kind == "string" else keys
        rows = pa.table(
            {"scan": scans, "ink": [0.0] * 20, "folds": [0.0] * 20}, schema=arrow_schema(columns)
        )
        lake.table("scans", "clean").publish(
            rows, partition=DAY, schema=rows.schema, writer=writer(token), migrations=migrations
        )

    def made(kind: str, **more: Any) -> UseCase:
        columns = {"scan": kind, "ink": "float64", "folds": "float64"}
        return make(ingest={"columns": columns}, **more)

    scans = made(before)
    landed(before, 1)
    asked = choose_round(scans, DAY, lake, writer(2))
    box = Box("stamp", 1, 2, 3, 4, 10, 10)
    answers = [answered(one, answer="bill") for one in asked.items]
    record(scans, lake, asked, [replace(one, boxes=[box]) for one in answers])
    publish_people(scans, DAY, lake, writer(3))
    assert len(labels_of(scans, lake)) == 10
    migrated = made(after, migrations=[{"column": "scan", "before": before, "after": after}])
    landed(after, 4, migrated.migrations)
    publish_people(migrated, DAY, lake, writer(5))
    assert list(labels_of(migrated, lake).values()) == [1] * 10
    two = choose_round(migrated, DAY, lake, writer(6))
    assert len(two.items) == 10
    assert not {one.key["scan"] for one in two.items} & set(labels_of(migrated, lake))
    drawn = set(read_boxes(migrated, DAY, lake)["_item"].to_pylist())
    assert drawn == {item_id({"scan": one}) for one in labels_of(migrated, lake)}


def test_a_partition_without_rounds_publishes_nothing(scans, lake):
    land(scans, lake)
    done = publish_people(scans, DAY, lake, writer(1))
    assert (done.version, done.changed, done.labelled) == (None, False, 0)
    assert record(scans, lake, Round(DAY, 1, []), []).new == 0


@pytest.mark.parametrize("word", ["bill ", "BILL", "1", ""])
def test_an_answer_that_is_almost_a_class_is_none(scans, lake, word):
    land(scans, lake)
    asked = choose_round(scans, DAY, lake, writer(1))
    one = replace(answered(asked.items[0]), answer=word)
    assert record(scans, lake, asked, [one]).verdicts["unknown class"] == 1


def test_labels_of_people_alone_are_made_again_when_the_classes_have_changed(make, lake):
    """A training refuses labels of another definition, and says what to start."""
    scans = make()
    land(scans, lake)
    asked = choose_round(scans, DAY, lake, writer(1))
    record(scans, lake, asked, [answered(one) for one in asked.items])
    publish_people(scans, DAY, lake, writer(2))
    before = labels_of(scans, lake)
    changed = make(labels={"classes": ["form", "bill", "letter"]})
    (found,) = [one for one in made_before(changed, lake, [DAY]) if one.stage == "labels"]
    assert f"Start scans__annotate with partition key {DAY}" in found.told(changed, lake)
    choose_round(changed, DAY, lake, writer(3))
    assert not [one for one in made_before(changed, lake, [DAY]) if one.stage == "labels"]
    assert labels_of(changed, lake) == {scan: 2 - label for scan, label in before.items()}


def test_files_that_are_taken_in_again_bring_what_people_said_by_the_present_classes(
    make, lake, tmp_path
):
    columns = {"scan": "int64", "kind": "string"}
    column = {"strategy": "column", "from": "kind", "columns": columns}
    scans = make(labels={**column, "classes": ["letter", "bill", "form"]})
    folder = tmp_path / "landing" / "scans" / DAY
    folder.mkdir(parents=True)
    (folder / "scans.csv").write_text("scan,ink,folds,kind\n0,1,1,bill\n50,1,1,\n")
    landing = Landing(str(tmp_path / "landing"))
    land(scans, lake)
    ingest_labels(scans, DAY, landing, lake, writer(2))
    asked = choose_round(scans, DAY, lake, writer(3))
    record(scans, lake, asked, [answered(one, answer="form") for one in asked.items])
    publish_people(scans, DAY, lake, writer(4))
    said = {one.key["scan"]: 2 for one in asked.items}
    assert labels_of(scans, lake) == said | {0: 1}
    changed = make(labels={**column, "classes": ["form", "letter", "bill"]})
    ingest_labels(changed, DAY, landing, lake, writer(5))
    assert labels_of(changed, lake) == dict.fromkeys(said, 0) | {0: 2}
