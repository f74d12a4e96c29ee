"""What a person sees who checks files before anything runs."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from scripts import validate
from tests.include.test_snapshot import FIRST, SUITE, YAML, customers


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a use case of customers, and a folder with one snapshot."""
    folder = tmp_path / "use_cases" / "churn"
    folder.mkdir(parents=True)
    (folder / "use_case.yaml").write_text(YAML)
    (folder / "expectations.yaml").write_text(SUITE)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
    landed = tmp_path / "exports" / "customers" / FIRST / "all.csv"
    landed.parent.mkdir(parents=True)
    customers().to_csv(landed, index=False)
    return tmp_path / "exports"


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = validate.main(list(arguments))
    return code, capsys.readouterr().out.splitlines()


def test_what_is_as_declared_passes_step_by_step(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = lines(capsys, "--data", str(data))
    assert code == 0
    assert logging.getLogger("include").isEnabledFor(logging.WARNING), "whoever calls it logs on"
    assert [line.split(": ")[1] for line in told] == [
        "configuration",
        f"labels of {FIRST}",
        f"rows of {FIRST}",
        f"expectations of {FIRST}",
        f"features of {FIRST}",
    ]
    assert all(line.startswith("ok   churn: ") for line in told)
    assert f"ok   churn: expectations of {FIRST}: 1,200 of 1,200 rows clean, 0 set aside" in told


def test_the_wrong_cell_is_named_with_what_would_accept_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data / "customers" / FIRST / "all.csv"
    path.write_text(path.read_text() + "c99999,gold,n/a,1.5,No\n")
    code, told = lines(capsys, "--data", str(data), "--use-case", "churn")
    assert code == 1
    assert told[-1].startswith(f"FAIL churn: rows of {FIRST}: {path}: column 'calls' must be int64")
    assert "got 'n/a' in row 1202" in told[-1]
    assert "write `null_values: [' ', 'n/a']`" in told[-1]


def test_a_broken_configuration_hides_no_other(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "use_cases" / "broken"
    broken.mkdir()
    (broken / "use_case.yaml").write_text(YAML.replace("roc_auc", "roc"))
    (broken / "expectations.yaml").write_text(SUITE)
    code, told = lines(capsys, "--data", str(data))
    assert code == 1
    assert told[0].startswith("FAIL broken: configuration: ")
    assert "train.metric for classification is one of" in told[0]
    assert sum(line.startswith("ok   churn: ") for line in told) == 5


def test_files_that_are_not_taken_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "customers" / FIRST / "all.csv").rename(data / "customers" / FIRST / "all.CSV")
    code, told = lines(capsys, "--data", str(data))
    assert code == 1
    assert "customers/{partition}/*.csv: no file in" in told[-1]
    assert "all.CSV" in told[-1]


def test_a_name_that_is_none_is_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate.main(["--use-case", "churns"]) == 1
    assert "There is no use case 'churns'" in capsys.readouterr().err


def test_nothing_is_left_behind(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = time.time()
    lines(capsys, "--data", str(data))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.stat().st_mtime < before for path in written)


def test_people_would_be_asked_and_gold_items_that_are_no_rows_are_told(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data.parent / "use_cases" / "churn"
    path, keys = folder / "use_case.yaml", customers()["customer"].tolist()
    text = path.read_text()
    asking = "  people: {items: 5, gold: gold.csv, gold_items: 1}\n"
    assert "\nlabels:\n" in text
    path.write_text(text.replace("\nlabels:\n", f"\nlabels:\n{asking}"))
    gold = folder / "gold.csv"
    gold.write_text(f"customer,label\n{keys[0]},Yes\nnobody,No\n")
    landed = data / "customers" / FIRST / "all.csv"
    rows = customers()
    rows.loc[rows.index >= 1000, "left"] = None  # whom nobody knows of yet
    rows.to_csv(landed, index=False)
    code, told = lines(capsys, "--data", str(data))
    assert code == 1
    assert f"ok   churn: questions of {FIRST}: 5 items would be asked about" in told
    assert told[-1] == (
        "FAIL churn: gold items: 1 of 2 are no rows that landed and are clean, such as "
        "{'customer': 'nobody'}. Correct the keys, or remove the lines."
    )
    gold.write_text(f"customer,label\n{keys[0]},Yes\n")
    assert lines(capsys, "--data", str(data))[0] == 0


@pytest.mark.parametrize(("at_least", "labelled"), [(0, True), (10_000, False)])
def test_rules_are_tried_on_the_rows(
    data: Path, capsys: pytest.CaptureFixture[str], at_least: int, labelled: bool
) -> None:
    path = data.parent / "use_cases" / "churn" / "use_case.yaml"
    content = yaml.safe_load(path.read_text())
    functions = {
        "many_calls": {"when": f"calls >= {at_least}", "label": 1},
        "broken": {"python": "broken"},
    }
    content["labels"] = {"strategy": "rules", "rules": {"functions": functions}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    (path.parent / "labels.py").write_text("def broken(row):\n    return row['nothing']\n")
    code, told = lines(capsys, "--data", str(data), "--use-case", "churn")
    raised = "broken votes on 0% and raised in 1200 rows (data row 1: KeyError: 'nothing')"
    counted = sum(pd.to_numeric(customers()["calls"], errors="coerce") >= at_least)
    if labelled:
        assert code == 0
        share = f"{counted / 1_200:.0%}"
        assert told[-1].startswith(
            f"ok   churn: rules of {FIRST}: {counted:,} of 1,200 rows labelled: many_calls votes "
            f"on {share}; {raised}"
        )
    else:
        assert code == 1
        assert told[-1].startswith(f"FAIL churn: rules of {FIRST}: churn: no rule gives a label")
        assert raised in told[-1]
