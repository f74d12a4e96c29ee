"""Labels of people: one from several annotators, conflicts, gold; and that order never matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.annotate.choosing import choose_round
from include.annotate.publish import publish_people
from include.labelling.answer_model import MIN_ITEMS
from include.labelling.answers import answers_schema, record_answers
from include.labelling.asking import Answer, item_id
from include.labelling.people import PeopleLabels
from include.labelling.rounds import rounds_schema
from include.use_cases.schema import UseCase
from tests.include.annotate.conftest import lake as lake
from tests.include.annotate.conftest import make as make
from tests.include.annotate.conftest import scans as scans
from tests.include.conftest import writer
from tests.support.scans import DAY, land, truth

NAMES = ("letter", "bill", "form")
NOW = datetime.now(UTC)
PEOPLE = ("ann", "bob", "eve")


def people_labels(
    use_case: UseCase,
    said: Mapping[int, Mapping[str, int]],
    gold: Mapping[int, int] | None = None,
    rounds: int = 1,
) -> PeopleLabels:
    """Make the labels of answers that count, by scan and annotator, without a lake."""
    scans, ids = [*said], [item_id({"scan": one}) for one in said]
    policies = ["gold" if one in (gold or {}) else "random" for one in scans]
    asked = [
        {"scan": scan, "_item": item, "_round": number, "_policy": policy}
        for number in range(1, rounds + 1)
        for scan, item, policy in zip(scans, ids, policies, strict=True)
    ]
    answers = [
        {"scan": scan, "_item": item, "_round": 1, "_annotator": who, "label": label,
         "_verdict": "counts"}
        for scan, item in zip(scans, ids, strict=True)
        for who, label in said[scan].items()
    ]  # fmt: skip
    return PeopleLabels(
        use_case,
        pa.table({"scan": pa.array(scans, pa.int64())}),
        pa.Table.from_pylist(asked, rounds_schema(use_case)),
        pa.Table.from_pylist(answers, answers_schema(use_case)),
        {item_id({"scan": scan}): label for scan, label in (gold or {}).items()},
    )


def labelled(made: PeopleLabels) -> dict[int, tuple[int, str, float]]:
    """Return label, source and confidence by scan."""
    return {
        row["scan"]: (row["label"], row["_source"], row["_confidence"])
        for row in made.labels().to_pylist()
    }


def test_what_more_than_half_said_is_the_label_and_who_said_so_its_source(scans):
    said = {1: {"bob": 2, "ann": 2, "eve": 0}, 2: {"ann": 1, "bob": 0}, 3: {"ann": 1}, 4: {}}
    made = people_labels(scans, said)
    assert labelled(made) == {1: (2, "ann, bob", 0.667), 3: (1, "ann", 1.0)}
    assert {
        scan: made.standing[item_id({"scan": scan})].conflict for scan in said
    } == {1: False, 2: True, 3: False, 4: False}  # fmt: skip


def test_an_adjudicator_decides_and_two_who_contradict_each_other_do_not(make):
    scans = make({"annotators": 2, "ask_again": 2, "adjudicators": ["Ana@x.org", "uwe"]})
    said = {
        1: {"ann": 1, "bob": 0},
        2: {"ann": 1, "bob": 0, "ana@x.org": 2},
        3: {"ann": 1, "bob": 1, "uwe": 0},
        4: {"ann": 1, "bob": 1, "ana@x.org": 0, "uwe": 2},
        5: {"uwe": 1},
        6: {"ann": 1},
    }
    made = people_labels(scans, said)
    assert labelled(made) == {
        2: (2, "ana@x.org", 1.0), 3: (0, "uwe", 1.0), 5: (1, "uwe", 1.0), 6: (1, "ann", 1.0),
    }  # fmt: skip
    people = scans.labels.people
    again = {one for one in said if made.standing[item_id({"scan": one})].wants_more(people)}
    assert again == {1, 4, 6}, "in conflict, or with too few answers and none that decides"


@pytest.mark.parametrize(
    ("rounds", "policy"),
    [
        (["random"], "random"),
        (["random", "random"], "random"),
        (["random", "uncertain"], "uncertain"),
        (["uncertain", "random"], "uncertain"),
        (["random", "disagreement", "uncertain"], "disagreement"),
    ],
)
def test_a_row_is_of_a_fair_sample_if_chance_alone_ever_chose_it(scans, rounds, policy):
    """Nobody answered when chance drew it: then the label is there because a policy chose it."""
    item = item_id({"scan": 1})
    asked = [
        {"scan": 1, "_item": item, "_round": number, "_policy": one}
        for number, one in enumerate(rounds, 1)
    ]
    made = people_labels(scans, {1: {"ann": 2}})
    made = replace(
        made,
        rounds=pa.Table.from_pylist(asked, rounds_schema(scans)),
        answers=made.answers.set_column(
            made.answers.schema.get_field_index("_round"), "_round", pa.array([len(rounds)])
        ),
    )
    assert made.labels().select(["label", "_chosen"]).to_pylist() == [
        {"label": 2, "_chosen": policy}
    ]


def test_from_enough_answers_better_annotators_count_more_than_the_majority(make):
    rng = np.random.default_rng(0)
    accuracies = {"ann": 0.95, "bob": 0.95, "eve": 0.5, "joe": 0.5, "kim": 0.5}
    said = {
        scan: {
            who: truth(scan) if rng.random() < accuracy else int(rng.integers(3))
            for who, accuracy in accuracies.items()
        }
        for scan in range(MIN_ITEMS + 700)
    }

    def right(model: str, said: Mapping[int, Mapping[str, int]]) -> float:
        found = labelled(people_labels(make({"aggregate": model}), said))
        return sum(label == truth(scan) for scan, (label, *_) in found.items()) / len(said)

    assert right("dawid_skene", said) > right("majority", said) + 0.03
    few = dict(list(said.items())[:100])
    assert right("dawid_skene", few) == right("majority", few)


def test_who_is_surely_below_the_limit_on_gold_items_is_named_and_excluded_where_asked(
    make, tmp_path
):
    (tmp_path / "use_cases" / "scans" / "gold.csv").write_text("scan,label\n0,letter\n")
    gold = {scan: truth(scan) for scan in range(6)}
    said: dict[int, dict[str, int]] = {
        scan: {"ann": right, "bob": (right + 1) % 3, "eve": right if scan else 1}
        for scan, right in gold.items()
    }
    said |= {10: {"bob": 0}, 11: {"ann": 1, "bob": 2}, 12: {"ann": 1, "eve": 1}}
    limit = {"gold": "gold.csv", "gold_items": 1, "min_accuracy": 0.7}
    reported = people_labels(make(limit), said, gold)
    assert reported.below == ["bob"], "five of six, as eve has, may well be .7 in truth"
    assert reported.on_gold["right"].to_dict() == {"ann": 1, "bob": 0, "eve": 5 / 6}
    assert labelled(reported) == {10: (0, "bob", 1.0), 12: (1, "ann, eve", 1.0)}
    excluded = people_labels(make({**limit, "below": "exclude"}), said, gold)
    assert excluded.below == ["bob"]
    assert labelled(excluded) == {11: (1, "ann", 1.0), 12: (1, "ann, eve", 1.0)}
    assert people_labels(make(), said, gold).below == []


@pytest.mark.parametrize(
    ("said", "rounds", "again"),
    [
        ({"ann": 0, "bob": 1}, 1, True),
        ({"ann": 0, "bob": 1}, 2, True),
        ({"ann": 0, "bob": 1}, 3, False),
        ({"ann": 0}, 1, True),
        ({"ann": 0}, 3, False),
        ({"ann": 0, "bob": 0}, 1, False),
        ({}, 1, False),
    ],
)
def test_an_item_is_asked_about_again_as_often_as_is_said(make, said, rounds, again):
    scans = make({"annotators": 2, "ask_again": 2})
    made = people_labels(scans, {1: said}, rounds=rounds)
    people = scans.labels.people
    assert made.standing[item_id({"scan": 1})].wants_more(people) is again


def test_a_conflict_that_nobody_settles_stays_without_a_label(make, lake):
    scans = make({"annotators": 2, "ask_again": 1, "items": 3})
    land(scans, lake, count=6)
    rounds = []
    for token in (1, 2, 3):
        made = choose_round(scans, DAY, lake, writer(token))
        rounds.append({one.item for one in made.items})
        answers = [
            Answer(one.item, who, said, datetime.now(UTC), f"{who} {token}")
            for one in made.items
            for who, said in (("ann", "bill"), ("bob", "form"))
        ]
        closed = datetime.now(UTC) + timedelta(seconds=1)
        record_answers(
            scans, DAY, made.number, answers, lake, writer(token), via="airflow", closed_at=closed
        )
    assert rounds[0] == rounds[1], "asked once more"
    assert not rounds[0] & rounds[2], "and then no more"
    done = publish_people(scans, DAY, lake, writer(9))
    assert (done.labelled, done.undecided, done.version) == (0, 6, None)


ANSWERS = st.dictionaries(
    st.integers(0, 6), st.dictionaries(st.sampled_from(PEOPLE), st.integers(0, 2)), min_size=1
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=ANSWERS, order=st.randoms(use_true_random=False))
def test_labels_do_not_depend_on_the_order_of_items_or_annotators(scans, said, order):
    turned = {
        scan: {who: said[scan][who] for who in order.sample(sorted(said[scan]), len(said[scan]))}
        for scan in order.sample(sorted(said), len(said))
    }
    assert people_labels(scans, turned).labels() == people_labels(scans, said).labels()
