"""What `labels.people` may say, and what a wrong section is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.errors import ConfigError
from include.use_cases.gold import read_gold
from tests.include.annotate.conftest import make as make

STUDIO = {"ask": "label_studio", "connection": "ls"}
ROWS = {
    "landing": "scans/{partition}/*.csv",
    "columns": {"scan": "int64", "kind": "string"},
    "from": "kind",
}


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ({"items": 51}, "labels.people.items must be at most 50 with ask 'airflow', got 51"),
        ({"boxes": ["stamp"]}, "labels.people.boxes is for ask 'label_studio', not for 'airflow'"),
        ({"connection": "ls"}, "labels.people.connection is for ask 'label_studio'"),
        ({"ask": "label_studio"}, "labels.people.connection must name the Airflow connection"),
        ({**STUDIO, "boxes": ["stamp"]}, "there is no labels.people.picture"),
        ({"show": ["ink", "colour"]}, "names 'colour', which is not one of"),
        ({"show": ["ink", "ink"]}, "labels.people.show names 'ink' more than once"),
        ({"picture": {"column": "file"}}, "names 'file', which is not one of"),
        ({"picture": {"column": "ink"}}, "must be a string, the path of a file, got 'ink'"),
        ({"picture": {}}, "needs one of 'column' and 'python'"),
        ({"picture": {"python": "draw"}}, "names 'draw', but there is no labels.py"),
        ({"choose": {"uncertain": 0.5}}, "must add up to 1, got {'uncertain': 0.5}, which is 0.5"),
        ({"choose": {"uncertain": 1.5, "random": -0.5}}, "must be shares from 0 to 1"),
        ({"choose": {"disagreement": 1.0}}, "'disagreement' is that of rules"),
        ({"choose": {"boldness": 1.0}}, "boldness"),
        ({"gold": "gold.csv"}, "scans/gold.csv: cannot be read"),
        ({"gold": "../gold.csv"}, "gold"),
        ({"items": 2, "gold": "gold.csv"}, "gold_items must be fewer than the 2 items of a round"),
        ({"trusted": ["ann", "ann"]}, "labels.people.trusted names 'ann' more than once"),
        ({"trusted": []}, "trusted"),
        ({"annotators": 0}, "annotators"),
        ({"within": "soon"}, "must look like '7d' or '12h'"),
    ],
)
def test_a_wrong_section_is_told_with_what_to_do(make, people, words):
    with pytest.raises(ConfigError) as told:
        make(people)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"task": "regression", "train": {"metric": "mae"}}, "is for classification"),
        ({"labels": {"classes": None}}, "labels.classes must name what people choose from"),
        ({"labels": {"classes": {"Yes": 1, "Y": 1, "No": 0}}}, "one name of class 1 and one of"),
        ({"labels": {"classes": ["letter", "bill", "skip"]}}, "must not name 'skip'"),
        ({"labels": {"from": "ink"}}, "labels.from is for labels that land"),
        ({"labels": {"people": None}}, "strategy 'people' needs labels.people"),
        ({"labels": {"precedence": ["rules"]}}, "must name 'people', which gives labels here"),
    ],
)
def test_a_section_that_does_not_fit_the_others_is_told(make, changed, words):
    with pytest.raises(ConfigError) as told:
        make(**changed)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        ({}, {"letter": 0, "bill": 1, "form": 2}),
        ({"classes": {"Yes": 1, "No": 0}}, {"Yes": 1, "No": 0}),
        ({**ROWS, "strategy": "column", "classes": ["a", "b", "c"]}, {"a": 0, "b": 1, "c": 2}),
        ({**ROWS, "strategy": "column", "classes": {"Y": 1, "Yes": 1, "No": 0}}, {"Y": 1, "No": 0}),
        ({**ROWS, "strategy": "column", "classes": None, "rule": '== "a"'}, {"1": 1, "0": 0}),
    ],
)
def test_people_answer_with_the_names_of_classes(make, labels, answers):
    assert make(labels=labels).labels.answers == answers


def test_people_stand_alone_or_beside_other_strategies(make):
    assert make().labels.strategies == ["people"]
    rules = {"functions": {"dark": {"when": "ink > 1", "label": 1}}}
    two = {"classes": {"Yes": 1, "No": 0}, "rules": rules}
    beside = make({"choose": {"disagreement": 0.5, "random": 0.5}}, labels=two)
    assert beside.labels.strategies == ["rules", "people"]
    column = make(labels={**ROWS, "strategy": "column", "classes": ["a", "b", "c"]})
    assert column.labels.strategies == ["column", "people"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scan\n1\n", "line 1: must have the columns ['scan', 'label'], but lacks ['label']"),
        ("scan,label\n1,cheque\n", "line 2: label must be one of ['letter', 'bill', 'form'], got"),
        ("scan,label\n1,bill\n1.5,bill\n", "line 3: scan must be int64, as in ingest.columns"),
        ("scan,label\n,bill\n", "line 2: scan must be int64"),
        ("scan,label\n1,bill\n1,form\n", "line 3: {'scan': 1} stands there twice"),
        ("scan,label\n", "must have at least one row"),
        ("", "line 1: must have the columns"),
    ],
)
def test_a_wrong_gold_file_is_told_with_its_line(make, tmp_path: Path, text, words):
    (tmp_path / "use_cases" / "scans" / "gold.csv").write_text(text)
    with pytest.raises(ConfigError) as told:
        make({"gold": "gold.csv"})
    assert "scans/gold.csv" in str(told.value)
    assert words in str(told.value)


def test_gold_keys_have_the_types_of_the_rows(make, tmp_path: Path):
    folder = tmp_path / "use_cases" / "scans"
    columns = {"scan": "int64", "at": "timestamp", "day": "date", "ok": "bool", "ink": "float64"}
    key: dict[str, Any] = {"key": ["scan", "at", "day", "ok", "ink"], "columns": columns}
    (folder / "gold.csv").write_text(
        "label,ink,ok,day,at,scan\nbill,1.5,true,2024-05-01,2024-05-01T10:00:00+02:00,7\n"
    )
    changed = make({"gold": "gold.csv"}, ingest=key, features={"inputs": ["ink"], "numeric": ["x"]})
    ((found, label),) = read_gold(changed, folder)
    assert label == 1
    assert {name: str(value) for name, value in found.items()} == {
        "scan": "7",
        "at": "2024-05-01 08:00:00+00:00",
        "day": "2024-05-01 00:00:00+00:00",
        "ok": "True",
        "ink": "1.5",
    }


def test_functions_of_labels_py_are_looked_up_where_they_are_named(make, tmp_path: Path):
    folder = tmp_path / "use_cases" / "scans"
    (folder / "labels.py").write_text("def draws(row):\n    return None\n")
    with pytest.raises(ConfigError, match=r"line .*names 'draw', which labels.py does not define"):
        make({"picture": {"python": "draw"}})
    assert make({"picture": {"python": "draws"}}).labels.people.picture.python == "draws"
