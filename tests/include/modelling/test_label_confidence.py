"""`train.label_confidence`: what is learned from counts by it, and what is judged by does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from include.annotate.choosing import choose_round
from include.annotate.publish import publish_people
from include.due.definitions import definition_of
from include.errors import ConfigError
from include.labelling.answers import record_answers
from include.labelling.asking import Answer
from include.lake.table import Lake
from include.modelling.fit import fit
from include.modelling.known_rows import load_known_rows
from include.modelling.labelled_rows import LabelledRows
from include.modelling.training_set import load_training_set
from include.modelling.weights import learning_weight, weight_in
from include.use_cases.schema import UseCase
from tests.include.annotate.conftest import lake as lake
from tests.include.annotate.conftest import make as make
from tests.include.conftest import writer
from tests.support.scans import DAY, land, truth

NAMES = ("letter", "bill", "form")
PEOPLE = {"items": 50, "annotators": 3}
WEIGHT = {"train": {"label_confidence": "weight"}}


def answered(use_case: UseCase, lake: Lake) -> None:
    """Let two of three annotators be right on odd scans, and all on even ones."""
    land(use_case, lake, count=60)
    made = choose_round(use_case, DAY, lake, writer(1))
    answers = [
        Answer(one.item, who, NAMES[said], datetime.now(UTC), who)
        for one in made.items
        for who, said in _said(one.key["scan"]).items()
    ]
    closed = datetime.now(UTC) + timedelta(seconds=1)
    record_answers(use_case, DAY, 1, answers, lake, writer(2), via="test", closed_at=closed)
    publish_people(use_case, DAY, lake, writer(3))


def _said(scan: int) -> dict[str, int]:
    right = truth(scan)
    return {"ann": right, "bob": right, "eve": (right + scan % 2) % 3}


def expected(keys: list[int]) -> list[float]:
    return [0.667 if scan % 2 else 1.0 for scan in keys]


def test_rows_are_learned_from_by_the_confidence_of_their_label(make, lake):
    use_case = make(PEOPLE, **WEIGHT)
    answered(use_case, lake)
    rows = LabelledRows.of(use_case, lake, {}).newest([DAY])
    assert learning_weight(rows, use_case).tolist() == expected(rows["scan"].to_pylist())
    assert weight_in(rows, use_case) is None, "what is judged by counts whole"
    training = load_training_set(use_case, lake, DAY)
    assert set(training.train_weight) == {0.667, 1.0}
    assert training.holdout_weight is None
    known = load_known_rows(use_case, lake, {}, [DAY])
    assert sorted(known.learning_weight) == sorted(expected(rows["scan"].to_pylist()))
    assert known.weight is None
    assert known.to_judge([DAY]).weight is None


def test_the_weights_reach_the_fit(make, lake):
    use_case = make(PEOPLE, **WEIGHT)
    answered(use_case, lake)
    training = load_training_set(use_case, lake, DAY)
    settings: tuple[str, dict[str, Any]] = ("logistic_regression", {"C": 1.0})
    X, y = training.train_X, training.train_y
    weighed = fit(use_case, *settings, X, y, weight=training.train_weight)
    plain = fit(use_case, *settings, X, y)
    assert not np.allclose(weighed.predict_proba(X), plain.predict_proba(X))


def test_by_default_the_confidence_is_no_column_of_labels_and_no_weight(make, lake):
    use_case = make(PEOPLE)
    answered(use_case, lake)
    assert "_confidence" not in lake.table("scans", "labels").schema().names
    assert load_training_set(use_case, lake, DAY).train_weight is None


def test_labels_of_before_weigh_one_until_they_are_published_again(make, lake):
    answered(make(PEOPLE), lake)
    before = definition_of(make(PEOPLE), "labels")
    use_case = make(PEOPLE, **WEIGHT)
    assert definition_of(use_case, "labels") != before
    assert load_training_set(use_case, lake, DAY).train_weight is None
    publish_people(use_case, DAY, lake, writer(4))
    assert set(load_training_set(use_case, lake, DAY).train_weight) == {0.667, 1.0}
    # What is published without the column again has no confidence there.
    publish_people(make(PEOPLE), DAY, lake, writer(5))
    assert set(load_training_set(make(PEOPLE, **WEIGHT), lake, DAY).train_weight) == {1.0}


def test_it_multiplies_the_weight_of_the_row_itself(make, lake):
    use_case = make(PEOPLE, train={"label_confidence": "weight", "sample_weight": "ink"})
    answered(use_case, lake)
    rows = LabelledRows.of(use_case, lake, {}).newest([DAY])
    rows = rows.set_column(rows.column_names.index("ink"), "ink", [[2.0] * rows.num_rows])
    doubled = [2 * one for one in expected(rows["scan"].to_pylist())]
    assert learning_weight(rows, use_case).tolist() == doubled
    assert set(weight_in(rows, use_case)) == {2.0}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"labels": {"strategy": "column", "from": "kind", "columns": {"kind": "string"},
                        "people": None}},
            "train.label_confidence is for labels of rules or people",
        ),
        (
            {"train": {**WEIGHT["train"], "candidates": [{"estimator": "neighbours"}]}},
            "train.label_confidence cannot be used: 'neighbours' takes no weights",
        ),
    ],
)  # fmt: skip
def test_where_it_can_do_nothing_it_is_refused(make, changed, said):
    with pytest.raises(ConfigError, match=said):
        make(PEOPLE, **{**WEIGHT, **changed})
