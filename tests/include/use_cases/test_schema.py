from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.use_cases.loader import dump, load_text
from include.use_cases.own_code import modules_of
from include.use_cases.schema import UseCase
from include.use_cases.spaces import Span, WholeSpan
from include.use_cases.yaml_text import read

CONFS = Path(__file__).parent / "confs"
VALID = sorted((CONFS / "valid").glob("*.yaml"))
INVALID = sorted((CONFS / "invalid").glob("*.yaml"))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_file_says_what_it_says(path: Path) -> None:
    use_case = load_text(path.read_text(), path.stem, path.name)
    written = read(path.read_text(), path.name).content
    assert use_case.name == path.stem
    assert use_case.task == written["task"]
    assert use_case.ingest.key == written["ingest"]["key"]
    assert use_case.features.columns == ["calls", "bill", "price", "plan"]
    assert load_text(dump(use_case), path.stem, "dump") == use_case


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_file_is_told_in_words(path: Path) -> None:
    """Each line of the .txt beside the file is one expected sentence, with the line it is about.

    For ` ... ` stands what is not expected word for word, such as the list of all algorithms.
    """
    with pytest.raises(ConfigError) as error:
        load_text(path.read_text(), path.stem, path.name)
    for expected in path.with_suffix(".txt").read_text().splitlines():
        separator = ", " if expected.startswith("line ") else ": "
        start, *later = expected.split(" ... ")
        assert f"{path.name}{separator}{start}" in str(error.value)
        assert all(part in str(error.value) for part in later)


def test_only_a_missing_section_has_no_line() -> None:
    without = {
        path.stem
        for path in INVALID
        for expected in path.with_suffix(".txt").read_text().splitlines()
        if not expected.startswith("line ")
    }
    assert without == {"required_key_missing"}


def test_every_message_has_its_file_and_every_file_its_message() -> None:
    assert {path.stem for path in INVALID} == {p.stem for p in (CONFS / "invalid").glob("*.txt")}


def full() -> UseCase:
    path = CONFS / "valid" / "classification_full.yaml"
    return load_text(path.read_text(), path.stem, path.name)


def test_durations_and_pairs_become_python_values() -> None:
    use_case = full()
    assert use_case.retrain.max_age == timedelta(hours=36)
    assert use_case.retrain.cooldown == timedelta(days=2)
    assert use_case.retrain.k_of_n == (1, 1)
    assert use_case.clean.noise == {"bill": (0.0, 1000.0), "calls": (0.0, 500.0)}
    assert use_case.serve.out_of_range == "flag"
    assert use_case.clean.missing == {"bill": 0.5, "plan": "unknown", "calls": "drop"}


def test_durations_are_written_as_they_were_read() -> None:
    written = read(dump(full()), "dump").content
    assert written["deploy"]["approval"]["within"] == "12h"
    assert (written["retrain"]["max_age"], written["retrain"]["cooldown"]) == ("36h", "2d")


def test_a_use_case_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        full().owner = "someone else"  # type: ignore[misc]


def test_two_mistakes_are_told_at_once() -> None:
    text = (CONFS / "valid" / "regression.yaml").read_text()
    text = text.replace("owner: churn@example.com\n", "").replace("grain: day", "grain: week")
    with pytest.raises(ConfigError) as error:
        load_text(text, "churn", "use_case.yaml")
    assert str(error.value).splitlines() == [
        "use_case.yaml: owner is required and missing.",
        "use_case.yaml, line 6: ingest.partition.grain must be one of ['day', 'month'], "
        "got 'week'. "
        "Known: ['day', 'month'].",
    ]


def test_parameters_of_an_own_estimator_are_ranges_whole_ranges_and_numbers() -> None:
    path = CONFS / "valid" / "own_code.yaml"
    use_case = load_text(path.read_text(), path.stem, path.name)
    space = use_case.train.candidates[1].space
    assert isinstance(space["depth"], WholeSpan)
    assert isinstance(space["rate"], Span)
    assert not isinstance(space["rate"], WholeSpan)
    assert space["share"] == 0.5
    assert use_case.train.candidates[1].prepare == "passthrough"
    assert modules_of(use_case) == ["metrics", "models"]
