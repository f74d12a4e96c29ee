"""The command line of `make replay`."""

from __future__ import annotations

import json

import pytest

from include.provenance import code_version
from scripts import replay
from tests.include.replay.test_report import report


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    return tmp_path


def test_the_table_is_printed_and_kept_with_the_picture(home, monkeypatch, capsys):
    asked = []

    def run(use_case, lake, label_delay):
        asked.append((use_case.name, use_case.train.tuning.trials, label_delay))
        return report()

    monkeypatch.setattr(replay, "run", run)
    assert replay.main(["flight_delays", "--label-delay", "2", "--trials", "1"]) == 0
    assert asked == [("flight_delays", 1, 2)]
    folder = home / "replays" / "flight_delays"
    kept = json.loads((folder / "replay.json").read_text())
    assert kept["code"] == code_version()
    assert [line["policy"] for line in kept["lines"]] == [
        "never", "declared", "every partition", "oracle",
    ]  # fmt: skip
    assert "oracle: 0.6933" in (folder / "replay.svg").read_text()
    printed = capsys.readouterr().out
    assert "declared        gate" in printed
    assert str(folder / "replay.svg") in printed


def test_the_trials_of_the_yaml_are_kept_unless_others_are_asked_for(home, monkeypatch):
    asked = []
    monkeypatch.setattr(
        replay, "run", lambda use_case, *_: asked.append(use_case.train.tuning.trials) or report()
    )
    replay.main(["flight_delays"])
    assert asked == [3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such"], "no_such"),
        (["flight_delays"], "Land a longer history"),  # the lake is empty
        (["flight_delays", "--label-delay", "-1"], "must be at least 0 partitions, got -1"),
    ],
)
def test_what_cannot_be_replayed_says_why(home, capsys, arguments, words):
    assert replay.main(arguments) == 1
    assert words in capsys.readouterr().err
