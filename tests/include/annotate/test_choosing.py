"""A round: which rows people are asked about, and that it is chosen once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from include.annotate import choosing
from include.annotate.choosing import choose_round
from include.annotate.guesses import Guesses
from include.annotate.publish import publish_people
from include.annotate.state import reserved_rows
from include.errors import DataContractError
from include.ingest_label.landing import Landing
from include.ingest_label.retract import retract
from include.labelling.answers import read_answers, record_answers
from include.labelling.asking import Answer, Box, Item, Round, item_id
from include.labelling.history import LabelHistory
from include.labelling.rounds import picture_path, read_round, read_rounds
from include.lake.files import LakeFiles
from include.lake.table import Lake
from include.modelling.units import unit_numbers
from include.use_cases.schema import UseCase
from tests.include.conftest import writer
from tests.support.scans import DAY, land, truth

NAMES = ("letter", "bill", "form")
POLICIES = ("uncertain", "random")
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def answered(one: Item, annotator: str = "ann", answer: str | None = None) -> Answer:
    """Answer rightly, or as told."""
    said = answer or NAMES[truth(one.key["scan"])]
    return Answer(one.item, annotator, said, datetime.now(UTC), f"{annotator}-{one.item}")


def record(use_case: UseCase, lake: Lake, of: Round, answers: list[Answer], **how: Any) -> Any:
    how = {"via": "airflow", "closed_at": datetime.now(UTC) + timedelta(seconds=1), **how}
    return record_answers(use_case, DAY, of.number, answers, lake, writer(9), **how)


def guesses(count: int, doubt: set[int]) -> Guesses:
    """Make a champion that is sure of all scans but some."""
    sure, open_ = [0.9, 0.05, 0.05], [0.4, 0.35, 0.25]
    chances = np.array([open_ if one in doubt else sure for one in range(count)])
    return Guesses("7", {item_id({"scan": one}): one for one in range(count)}, chances)


def test_the_first_round_is_drawn_by_chance_and_people_see_the_rows(scans, lake):
    rows = land(scans, lake)
    made = choose_round(scans, DAY, lake, writer(1))
    assert (made.number, len(made.items), made.why_not) == (1, 10, "")
    assert {one.policy for one in made.items} == {"random"}
    assert made.closes_at == made.asked_at + timedelta(days=7)
    by_scan = {row["scan"]: row for row in rows.to_pylist()}
    assert all(one.row == by_scan[one.key["scan"]] for one in made.items)
    assert [one.item for one in made.items] == sorted(one.item for one in made.items)


def test_the_same_run_gets_the_same_round_and_another_waits_until_it_is_closed(scans, lake):
    land(scans, lake)
    made = choose_round(scans, DAY, lake, writer(1))
    assert choose_round(scans, DAY, lake, writer(1)) == made
    assert read_round(scans, DAY, 1, lake) == made
    other = choose_round(scans, DAY, lake, writer(2))
    until = f"{made.closes_at:%Y-%m-%d %H:%M} UTC"
    said = f"Round 1 of {DAY} is open until {until}. Answer its questions, or wait."
    assert (other.items, other.why_not) == ([], said)
    assert read_rounds(scans, DAY, lake).num_rows == 10


def test_a_closed_round_is_followed_by_other_rows_until_the_last_round(make, lake):
    scans = make({"rounds": 2})
    land(scans, lake)
    one = choose_round(scans, DAY, lake, writer(1))
    done = record(scans, lake, one, [answered(item) for item in one.items])
    assert (done.verdicts, done.closed) == ({"counts": 10}, True)
    assert publish_people(scans, DAY, lake, writer(2)).labelled == 10
    two = choose_round(scans, DAY, lake, writer(3))
    assert two.number == 2
    assert not {item.item for item in one.items} & {item.item for item in two.items}
    record(scans, lake, two, [])
    assert "has had its 2 rounds" in choose_round(scans, DAY, lake, writer(4)).why_not


@pytest.mark.parametrize(
    "changed",
    [
        {"people": {"trusted": ["bob"]}},
        {"people": {"annotators": 2}},
        {"labels": {"classes": ["bulletin", "bill", "form"]}},
    ],
)
def test_a_round_that_has_ended_stays_so_whatever_counts_later(make, lake, changed):
    scans = make()
    land(scans, lake)
    one = choose_round(scans, DAY, lake, writer(1))
    record(scans, lake, one, [answered(item) for item in one.items])
    publish_people(scans, DAY, lake, writer(2))
    two = choose_round(make(**changed), DAY, lake, writer(3))
    assert (two.number, len(two.items), two.why_not) == (2, 10, "")


def test_a_round_whose_answers_were_not_collected_is_open(scans, lake):
    land(scans, lake)
    one = choose_round(scans, DAY, lake, writer(1))
    done = record(scans, lake, one, [answered(item) for item in one.items], closed_at=None)
    assert (done.verdicts, done.closed) == ({"counts": 10}, False)
    assert choose_round(scans, DAY, lake, writer(2)).why_not.startswith(
        f"Round 1 of {DAY} is open until"
    )


def test_shares_of_a_round_go_to_what_the_champion_doubts_and_to_chance(scans, lake):
    rows = land(scans, lake)
    # Computed here once more: a fifth by chance, and in a split at random the rows held out.
    reserved = unit_numbers(rows, ["scan"], "audit") < 0.2
    reserved |= unit_numbers(rows, ["scan"], "holdout") < 0.2
    assert reserved_rows(scans, rows).tolist() == reserved.tolist()
    doubt = set(range(100))
    found = choose_round(scans, DAY, lake, writer(1), guesses(100, doubt))
    by_policy = [
        [one.key["scan"] for one in found.items if one.policy == p] for p in ("uncertain", "random")
    ]
    assert [len(each) for each in by_policy] == [8, 2]
    assert not reserved[by_policy[0]].any()
    assert all(one.guess == 0 and one.guess_probability == 0.4 for one in found.items)
    assert {one.score for one in found.items if one.policy == "uncertain"} == {1 - (0.4 - 0.35)}
    told = read_rounds(scans, DAY, lake)
    assert set(told["_model"].to_pylist()) == {"7"}


def test_in_a_split_by_time_a_fifth_by_chance_is_left_to_random(make, lake):
    ingest = {
        "columns": {"scan": "int64", "at": "timestamp", "ink": "float64", "folds": "float64"},
        "partition": {"grain": "day", "column": "at"},
    }
    split = {"split": {"by": "at"}, "min_partitions": 2}
    scans = make({"items": 50, "choose": {"uncertain": 1.0}}, ingest=ingest, train=split)
    times = pa.array(
        [NOON + timedelta(minutes=one) for one in range(60)], pa.timestamp("us", "UTC")
    )
    rows = land(make(), lake, count=60).append_column("at", times)
    for stage in ("clean", "features"):
        lake.table("scans", stage).publish(
            rows, partition=DAY, schema=rows.schema, writer=writer(2)
        )
    reserved = unit_numbers(rows, ["scan"], "audit") < 0.2
    assert 5 < reserved.sum() < 20
    assert reserved_rows(scans, rows).tolist() == reserved.tolist()
    found = choose_round(scans, DAY, lake, writer(3), guesses(60, set(range(60))))
    by_policy = {p: {one.key["scan"] for one in found.items if one.policy == p} for p in POLICIES}
    free = set(np.flatnonzero(~reserved).tolist())
    # All that are free; the other places of the round go to chance.
    assert by_policy["uncertain"] == free
    assert len(by_policy["random"]) == 50 - len(free)


def test_what_chance_has_drawn_no_policy_takes_though_nobody_or_nobody_trusted_answered(make, lake):
    scans = make({"items": 50, "trusted": ["ann"], "rounds": 9})
    land(scans, lake)
    one = choose_round(scans, DAY, lake, writer(1))
    drawn = {item.item for item in one.items}
    answers = [answered(item, "mallory") for item in one.items[:20]]
    answers += [answered(item, "ann", "cheque") for item in one.items[20:25]]
    record(scans, lake, one, answers)
    # The champion doubts exactly the rows that chance drew, and ten others.
    other = [scan for scan in range(100) if item_id({"scan": scan}) not in drawn][:10]
    doubt = {item.key["scan"] for item in one.items} | set(other)
    two = choose_round(scans, DAY, lake, writer(2), guesses(100, doubt))
    by_policy = {p: {item.item for item in two.items if item.policy == p} for p in POLICIES}
    assert by_policy["uncertain"]
    assert not by_policy["uncertain"] & drawn
    assert by_policy["random"] <= drawn
    assert len(by_policy["random"]) >= 10


def test_items_whose_answers_contradict_each_other_come_again_first_and_keep_their_policy(
    make, lake
):
    scans = make({"annotators": 2})
    land(scans, lake)
    one = choose_round(scans, DAY, lake, writer(1))
    disputed, half, rest = one.items[0], one.items[1], one.items[2:]
    answers = [answered(disputed, "ann", "letter"), answered(disputed, "bob", "form")]
    answers += [answered(half, "ann")]
    answers += [answered(item, who) for item in rest for who in ("ann", "bob")]
    record(scans, lake, one, answers)
    assert publish_people(scans, DAY, lake, writer(2)).undecided == 1
    two = choose_round(scans, DAY, lake, writer(3), guesses(100, set(range(100))))
    again = {item.item: item.policy for item in two.items}
    assert again[disputed.item] == again[half.item] == "random"
    assert not {item.item for item in rest} & set(again)
    record(scans, lake, two, [answered(disputed, "eve")])
    labels = lake.table("scans", "labels")
    publish_people(scans, DAY, lake, writer(4))
    told = {row["scan"]: row for row in labels.read([DAY]).to_pylist()}
    assert told[disputed.key["scan"]]["_chosen"] == "random"
    assert told[disputed.key["scan"]]["label"] == truth(disputed.key["scan"])


def test_what_nobody_can_tell_is_not_asked_again_and_what_nobody_answered_may_be(scans, lake):
    land(scans, lake, count=12)
    one = choose_round(scans, DAY, lake, writer(1))
    skipped, silent = one.items[:3], one.items[3:]
    record(scans, lake, one, [answered(item, answer="Skip") for item in skipped])
    verdicts = [row["_verdict"] for row in read_answers(scans, DAY, lake).to_pylist()]
    assert sorted(verdicts) == ["nobody"] * 7 + ["skipped"] * 3
    two = choose_round(scans, DAY, lake, writer(2))
    assert {item.item for item in silent} < {item.item for item in two.items}
    assert len(two.items) == 9


def test_gold_items_are_in_each_round_and_never_become_labels(make, lake, tmp_path):
    gold = "".join(f"{scan},{NAMES[truth(scan)]}\n" for scan in (3, 4, 5, 900))
    (tmp_path / "use_cases" / "scans" / "gold.csv").write_text("scan,label\n" + gold)
    scans = make({"gold": "gold.csv", "gold_items": 2})
    land(scans, lake)
    seen = []
    for token in (1, 2):
        made = choose_round(scans, DAY, lake, writer(token), guesses(100, set(range(100))))
        golden = [one for one in made.items if one.policy == "gold"]
        assert len(golden) == 2
        assert {one.guess for one in golden} == {None}
        seen += [one.key["scan"] for one in golden]
        record(scans, lake, made, [answered(item) for item in made.items])
    assert set(seen) == {3, 4, 5}
    publish_people(scans, DAY, lake, writer(3))
    labelled = lake.table("scans", "labels").read([DAY])["scan"].to_pylist()
    assert len(labelled) == 16
    assert not {3, 4, 5} & set(labelled)


def test_where_every_row_is_labelled_nobody_is_asked(scans, lake):
    land(scans, lake, count=5)
    one = choose_round(scans, DAY, lake, writer(1))
    record(scans, lake, one, [answered(item) for item in one.items])
    publish_people(scans, DAY, lake, writer(2))
    why_not = choose_round(scans, DAY, lake, writer(3)).why_not
    assert why_not == (
        f"Nobody needs to be asked about {DAY}: every row has a label, was skipped, or is a gold "
        "item. Land more rows, or start another partition."
    )


def test_a_partition_that_is_not_there_is_refused(scans, lake):
    land(scans, lake)
    with pytest.raises(DataContractError, match="2024-06-01"):
        choose_round(scans, "2024-06-01", lake, writer(1))


def test_rows_of_a_group_that_is_held_out_are_left_to_chance_also_where_features_make_it(
    make, lake
):
    features = {"inputs": ["ink", "folds"], "numeric": ["ink"], "categorical": ["box"]}
    split = {"split": {"by": "group:box"}}
    scans = make({"choose": {"uncertain": 1.0}}, features=features, train=split)
    rows = land(scans, lake, count=200)
    boxes = [f"box {scan % 20}" for scan in range(200)]
    made = rows.select(["scan", "ink"]).append_column("box", pa.array(boxes))
    lake.table("scans", "features").publish(
        made, partition=DAY, schema=made.schema, writer=writer(2)
    )
    held = unit_numbers(made, ["box"], "holdout") < 0.2
    assert 0 < held.mean() < 0.5
    found = choose_round(scans, DAY, lake, writer(3), guesses(200, set(range(200))))
    assert {one.policy for one in found.items} == {"uncertain"}
    assert not held[[one.key["scan"] for one in found.items]].any()


def test_two_attempts_at_one_round_choose_it_once(scans, lake, monkeypatch):
    """The other attempt comes between the look at the lake and the append."""
    land(scans, lake)
    append, beside = choosing.append_round, []

    def late(*given: Any, **how: Any) -> bool:
        if not beside:
            beside.append(None)
            beside[0] = choose_round(scans, DAY, lake, writer(2))
        return append(*given, **how)

    monkeypatch.setattr(choosing, "append_round", late)
    made = choose_round(scans, DAY, lake, writer(1))
    assert (beside[0].number, len(beside[0].items)) == (1, 10)
    assert made.items == []
    assert made.why_not.startswith(f"Round 1 of {DAY} is open until")
    assert read_rounds(scans, DAY, lake).num_rows == 10


def test_what_is_taken_back_takes_its_rounds_answers_boxes_and_pictures_along(
    scans, lake, tmp_path
):
    land(scans, lake)
    one = choose_round(scans, DAY, lake, writer(1))
    box = Box("stamp", 1, 2, 3, 4, 10, 10)
    drawn = [replace(answered(item), boxes=[box]) for item in one.items]
    record(scans, lake, one, drawn)
    publish_people(scans, DAY, lake, writer(10))
    files = LakeFiles(lake)
    picture = picture_path(scans, DAY, one.items[0].item)
    files.write(picture, b"png")
    done = retract(
        scans,
        DAY,
        reason="asked for",
        who="ann",
        landing=Landing(str(tmp_path)),
        lake=lake,
        writer=writer(20),
    )
    tables = ["labels", "label_answers", "label_boxes", "label_ends", "label_rounds"]
    assert set(tables) <= set(done.cleared)
    assert [lake.table("scans", name).partitions() for name in tables] == [[]] * 5
    assert files.under(f"scans/pictures/{DAY}") == []
    assert LabelHistory(scans, lake).known(DAY).num_rows == 0
    # An answer that comes now is kept, and is to an unknown item; the next round is another one.
    late = record(scans, lake, one, [answered(one.items[0], "bob")])
    assert late.verdicts == {"unknown item": 1}
    assert publish_people(scans, DAY, lake, writer(21)).version is None
    land(scans, lake, token=30)
    assert choose_round(scans, DAY, lake, writer(31)).number == 2
