"""Several classes and weights in the configuration: what is accepted, and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.errors import ConfigError
from include.use_cases.loader import dump, load_text
from include.use_cases.schema import UseCase
from include.use_cases.sections.labels import MAX_CLASSES, Labels
from tests.support.packages import TINY, tiny_use_case

VALID = Path(__file__).parent / "confs" / "valid" / "several_classes.yaml"
TEXT = VALID.read_text()


def loaded(*changes: tuple[str, str]) -> UseCase:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load_text(text, "several", "several.yaml")


def test_names_are_classes_by_their_places() -> None:
    use_case = loaded()
    assert use_case.class_names == ["stays", "moves up", "leaves"]
    assert use_case.labels is not None
    assert use_case.labels.numbers == {"stays": 0, "moves up": 1, "leaves": 2}
    assert use_case.train.class_weight == {"leaves": 3.0}
    assert use_case.train.sample_weight == "stands_for"


def test_two_classes_have_no_names() -> None:
    assert tiny_use_case().class_names == []
    assert tiny_use_case("regression").class_names == []
    assert tiny_use_case("clustering").class_names == []
    labels = Labels.model_validate(
        {"landing": "l/{partition}", "columns": {"o": "string"}, "from": "o",
         "classes": {"Yes": 1, "No": 0}}
    )  # fmt: skip
    assert labels.numbers == {"Yes": 1, "No": 0}


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("[1, 2, 3]", ["1", "2", "3"]),
        ("[true, false, maybe]", ["true", "false", "maybe"]),
        ("[1.5, 2.5, -1]", ["1.5", "2.5", "-1"]),
        ("[yes, no, on]", ["yes", "no", "on"]),  # YAML 1.2: these are texts
        ("[Größe, \"it's\", 'a \"b\"', 'x, y']", ["Größe", "it's", 'a "b"', "x, y"]),
    ],
)
def test_names_are_read_as_a_file_has_them(written: str, names: list[str]) -> None:
    use_case = loaded(
        ('[stays, "moves up", leaves]', written), ("  class_weight: {leaves: 3}\n", "")
    )
    assert use_case.class_names == names
    assert load_text(dump(use_case), "several", "dump") == use_case


CLASSES = 'classes: [stays, "moves up", leaves]'


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (CLASSES, "classes: [stays]", "labels.classes as a list must name three classes or more"),
        (
            CLASSES,
            "classes: [no, yes]",
            "labels.classes as a list must name three classes or more, got ['no', 'yes']. Two are "
            "written as a mapping that says which of them is 1, like {Yes: 1, No: 0}.",
        ),
        (CLASSES, "classes: [a, b, c, a]", "labels.classes must name each class once, got 'a'"),
        (CLASSES, "classes: [1, b, '1']", "labels.classes must name each class once, got '1'"),
        (CLASSES, "classes: [a, b, A]", "must differ in more than upper and lower case, got 'a'"),
        (CLASSES, "classes: [a, b, null]", "labels.classes must be names of classes, got None"),
        (CLASSES, "classes: [a, b, '']", "labels.classes must be names of classes, got ''"),
        (CLASSES, "classes: [a, b, {c: 1}]", "labels.classes must be names of classes, got {"),
        (CLASSES, "classes: {a: 0, b: 1, c: 2}", "of several classes write their names as a list"),
        (CLASSES, "classes: stays", "labels.classes must be a mapping like {Yes: 1, No: 0}, or a"),
        (
            CLASSES,
            f"classes: {list(range(MAX_CLASSES + 1))}",
            "labels.classes may name 100 classes at most, got 101",
        ),
        (
            "metric: f1_macro",
            "metric: f1",
            "train.metric 'f1' is of class 1 alone. Choose f1_macro, in which each class counts "
            "alike, or f1_weighted",
        ),
        ("metric: f1_macro", "metric: average_precision", "Choose roc_auc, the mean over each"),
        (
            "metric: f1_macro",
            "metric: mae",
            "train.metric for classification with 3 classes is one of ['accuracy', 'f1_macro', "
            "'f1_weighted', 'log_loss', 'roc_auc'], got 'mae'.",
        ),
        ("{leaves: 3}", "{leafs: 3}", "train.class_weight names 'leafs', which is not one of"),
        ("{leaves: 3}", "{leaves: 0}", "train.class_weight must map classes to numbers above 0"),
        ("{leaves: 3}", "heavy", "train.class_weight must be 'balanced' or a mapping like"),
        ("sample_weight: stands_for", "sample_weight: plan", "must be a number, got 'plan'"),
        ("sample_weight: stands_for", "sample_weight: customer", "is in ingest.key"),
        (
            "sample_weight: stands_for",
            "sample_weight: absent",
            "train.sample_weight names 'absent', which is not one of",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_its_line(old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        loaded((old, new))
    assert told in str(error.value)
    line = 1 + next(n for n, text in enumerate(TEXT.splitlines()) if old in text)
    assert f"several.yaml, line {line}: " in str(error.value)


def test_a_key_must_not_be_a_column_of_predictions() -> None:
    with pytest.raises(ConfigError, match="'probability_stays' is also a column of predictions"):
        loaded(
            ("customer: int64,", "probability_stays: int64,"), ("[customer]", "[probability_stays]")
        )


@pytest.mark.parametrize("metric", ["f1_macro", "f1_weighted"])
def test_metrics_of_several_classes_are_not_for_two(metric: str) -> None:
    with pytest.raises(ValueError, match=r"is for several classes\. Choose f1, which is of"):
        tiny_use_case(train={**TINY["train"], "metric": metric})


def weighted(task: str, **weights: Any) -> UseCase:
    train = tiny_use_case(task).train.model_dump(by_alias=True)
    return tiny_use_case(task, train={**train, **weights})


def test_weights_of_two_classes_are_by_their_numbers() -> None:
    assert weighted("classification", class_weight={1: 5}).train.class_weight == {"1": 5.0}
    assert weighted("classification", class_weight="balanced").train.class_weight == "balanced"
    with pytest.raises(ValueError, match=r"class_weight names 'Yes', which is not one of \['0', "):
        weighted("classification", class_weight={"Yes": 5})


def test_weights_are_refused_where_a_candidate_takes_none() -> None:
    train = {**TINY["train"], "candidates": [{"estimator": "ridge"}, {"estimator": "neighbours"}]}
    told = r"sample_weight cannot be used: 'neighbours' takes no weights\. Choose among \['ridge', "
    with pytest.raises(ValueError, match=told):
        tiny_use_case("regression", train={**train, "metric": "mae", "sample_weight": "z"})


def test_weights_are_refused_where_nothing_takes_them() -> None:
    with pytest.raises(ValueError, match="class_weight is for classification, not for regression"):
        weighted("regression", class_weight="balanced")
    with pytest.raises(
        ValueError, match=r"sample_weight cannot be used: 'kmeans' takes no weights\. Remove it"
    ):
        weighted("clustering", sample_weight="z")
    assert weighted("regression", sample_weight="z").train.sample_weight == "z"
