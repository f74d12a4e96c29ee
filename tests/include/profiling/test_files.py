"""What is written: configuration, expectations and landed files; all of it, or nothing."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.errors import ConfigError, DataContractError
from include.profiling import placing
from include.profiling.placing import place
from include.profiling.plan import Answers, Plan, plan_of
from include.profiling.raw import read
from include.profiling.table import table_of
from include.profiling.yaml_files import MAX_LINES, flow, use_case_yaml
from include.use_cases.loader import load, load_suite
from include.use_cases.yaml_text import read as read_yaml
from tests.include.test_snapshot import customers

TODAY = date(2024, 5, 1)


def plan_for(path: Path, name: str = "churn", **said: str) -> Plan:
    return plan_of(name, table_of(path, read(path)), Answers(**said))


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "export of May.csv"
    customers().to_csv(path, index=False)
    return path


def places(tmp_path: Path) -> tuple[Path, str, date]:
    return tmp_path / "use_cases", str(tmp_path / "landing"), TODAY


def test_the_configuration_says_what_was_decided(snapshot: Path, tmp_path: Path) -> None:
    placed = place(plan_for(snapshot), *places(tmp_path))
    use_case = load(placed.folder)
    assert use_case.task == "classification"
    assert dict(use_case.ingest.columns) == {
        "customer": "string", "plan": "string", "calls": "int64", "bill": "float64"
    }  # fmt: skip
    assert use_case.ingest.key == ["customer"]
    assert use_case.ingest.format.of("bill").null_values == [" "]
    assert use_case.labels is not None
    assert use_case.labels.classes == {"Yes": 1, "No": 0}
    assert use_case.features.numeric == ["calls", "bill"]
    assert use_case.features.categorical == ["plan"]
    assert use_case.train.split.by == "random"
    text = (placed.folder / "use_case.yaml").read_text()
    assert len(text.splitlines()) <= MAX_LINES
    # Each decision has its reason.
    for key, reason in {
        "partition": "a snapshot: no column holds days or times",
        "key": "unique in every row",
        "from": "two values; class 1 is 'Yes', by its name",
    }.items():
        assert re.search(rf"^  {key}: .*  # {reason}", text, re.MULTILINE), key
    assert (
        "bill: float64  # numeric: 101 distinct values; missing in"
        in (placed.folder / "columns.yaml").read_text()
    )


def test_a_snapshot_lands_as_it_is_under_the_day(snapshot: Path, tmp_path: Path) -> None:
    placed = place(plan_for(snapshot), *places(tmp_path))
    assert placed.landed == [tmp_path / "landing/churn/2024-05-01/churn.csv"]
    assert placed.landed[0].read_bytes() == snapshot.read_bytes()


def test_rows_without_a_key_are_counted_in_what_lands(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    customers().drop(columns="customer").to_csv(path, index=False, sep=";", encoding="utf-16")
    placed = place(plan_for(path), *places(tmp_path))
    landed = pd.read_csv(placed.landed[0], sep=";", encoding="utf-16", dtype="str")
    assert landed["row_number"].tolist() == [str(n) for n in range(1, 1201)]
    assert landed["bill"].tolist() == customers()["bill"].astype("str").tolist()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_months_land_as_one_file_each(tmp_path: Path, kind: str) -> None:
    # The last moment of a month in UTC is in the month before, whatever the file's order.
    times = ["2024-02-01T00:00:00Z", "2024-01-31T23:59:59Z"] * 600
    frame = customers().assign(seen=times, bill=np.arange(1200) + 0.25)
    path = tmp_path / f"x.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.assign(seen=pd.to_datetime(frame["seen"])).to_parquet(path)
    placed = place(plan_for(path), *places(tmp_path))
    area = tmp_path / "landing" / "churn"
    assert placed.landed == [area / f"2024-{m}/churn.{kind}" for m in ("01", "02")]
    reads = {
        "csv": pd.read_csv,
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }
    january, february = (reads[kind](path) for path in placed.landed)
    assert january["bill"].tolist() == frame["bill"][1::2].tolist()
    assert february["bill"].tolist() == frame["bill"][::2].tolist()
    assert load(placed.folder).ingest.partition.column == "seen"


def test_a_time_that_is_missing_beyond_the_sample_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.profiling.raw.SAMPLE_ROWS", 600)
    frame = customers().assign(seen=["2024-01-15", "2024-01-20", "2024-02-01", "2024-02-02"] * 300)
    frame.loc[1199, "seen"] = None
    path = tmp_path / "x.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(DataContractError, match=r"'seen' is missing in 1, first in data row 1200"):
        place(plan_for(path), *places(tmp_path))
    assert not (tmp_path / "landing/churn").exists()


def test_what_is_there_already_stays_as_it_is(snapshot: Path, tmp_path: Path) -> None:
    placed = place(plan_for(snapshot), *places(tmp_path))
    (placed.folder / "use_case.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"churn is there already, and is left as it is"):
        place(plan_for(snapshot), *places(tmp_path))
    assert (placed.folder / "use_case.yaml").read_text() == "mine"
    with pytest.raises(ConfigError, match=r"files have landed there already"):
        place(plan_for(snapshot), tmp_path / "others", *places(tmp_path)[1:])


@pytest.mark.parametrize("fails", ["_write", "shutil.copyfile"])
def test_nothing_is_left_of_an_attempt_that_failed(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    plan = plan_for(snapshot)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        target = placing.shutil if "." in fails else placing
        patched.setattr(target, fails.rpartition(".")[2], full)
        with pytest.raises(OSError, match="No space left"):
            place(plan, *places(tmp_path))
    assert not (tmp_path / "use_cases/churn").exists()
    assert not (tmp_path / "landing/churn").exists()
    assert load(place(plan, *places(tmp_path)).folder).name == "churn"


def test_expectations_have_their_reason_and_slack(snapshot: Path, tmp_path: Path) -> None:
    placed = place(plan_for(snapshot), *places(tmp_path))
    suite = load_suite(load(placed.folder), placed.folder).expectations
    told = {(one.expectation, *one.columns): (one.on_failure, one.arguments) for one in suite}
    assert told["expect_table_row_count_to_be_between",] == (
        "refuse", {"min_value": 600, "max_value": 2400}
    )  # fmt: skip
    assert told["expect_column_values_to_not_be_null", "customer"][0] == "quarantine"
    assert ("expect_column_values_to_be_unique", "customer") in told
    calls = customers()["calls"]
    span = int(calls.max() - calls.min())
    expected = {
        "column": "calls",
        "min_value": 0,
        "max_value": calls.max() + span / 2,
        "mostly": 0.99,
    }
    assert told["expect_column_values_to_be_between", "calls"] == ("refuse", expected)
    bill = told["expect_column_values_to_not_be_null", "bill"][1]["mostly"]
    missing = (customers()["bill"] == " ").mean()
    assert bill == pytest.approx(1 - 2 * missing - 0.05, abs=1e-3)
    assert told["expect_column_values_to_be_in_set", "plan"][1]["value_set"] == ["basic", "gold"]
    text = (placed.folder / "expectations.yaml").read_text()
    blocks = [block for block in text.split("\n\n") if "- expectation" in block]
    assert len(blocks) == len(suite)
    assert all(block.startswith("# ") for block in blocks)


def test_a_wide_table_with_odd_names_has_at_most_sixty_lines(tmp_path: Path) -> None:
    rows = 60
    names = [f'mean "x, y" {n}' for n in range(300)]
    values = {name: [(n * k) % 17 + 0.5 for n in range(rows)] for k, name in enumerate(names, 2)}
    frame = pd.DataFrame({"id": range(rows), **values, "y": [n % 2 for n in range(rows)]})
    frame.to_csv(tmp_path / "x.csv", index=False, sep=";", decimal=",")
    plan = plan_for(tmp_path / "x.csv", "wide")
    assert len(use_case_yaml(plan, schema="s").splitlines()) <= MAX_LINES
    use_case = load(place(plan, *places(tmp_path)).folder)
    assert set(use_case.features.numeric) <= set(names)
    assert len(use_case.features.numeric) > 280


def test_long_lists_are_wrapped_between_names(tmp_path: Path) -> None:
    rows = 60
    names = [f"a long name {n}" for n in range(30)]
    values = {name: [(n * k) % 13 for n in range(rows)] for k, name in enumerate(names, 2)}
    frame = pd.DataFrame({"id": range(rows), **values, "y": [n % 2 for n in range(rows)]})
    frame.to_csv(tmp_path / "x.csv", index=False)
    plan = plan_for(tmp_path / "x.csv", "wide")
    text = use_case_yaml(plan, schema=None)
    assert max(len(line) for line in text.splitlines()) <= 120
    use_case = load(place(plan, *places(tmp_path)).folder)
    assert list(use_case.features.numeric) == plan.numeric


@pytest.mark.parametrize(
    "value",
    ["Yes", "true", "null", "1", "0.5", "a, b", "[x", "{", "#", "- a", "a: b", 'say "no"', " ", "",
     "Größe (€)", "k.A.", "on", "~", "a  b", "\t", "2024-01-01", "*x", "&x", "!x", "%x", "@x"],
)  # fmt: skip
def test_each_text_is_read_back_as_it_was(value: str) -> None:
    written = flow({value: [value, {"k": value}]})
    assert read_yaml(written, "x").content == {value: [value, {"k": value}]}


def test_classes_that_are_numbers_have_no_quotes(tmp_path: Path) -> None:
    frame = customers().assign(left=(customers()["left"] == "Yes").astype(int))
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert "  classes: {1: 1, 0: 0}\n" in use_case_yaml(plan_for(tmp_path / "x.csv"), schema=None)


def test_few_labels_lower_the_coverage_that_is_asked_for(tmp_path: Path) -> None:
    frame = customers()
    frame.loc[frame.index % 2 == 0, "left"] = None
    frame.to_csv(tmp_path / "x.csv", index=False)
    use_case = load(place(plan_for(tmp_path / "x.csv"), *places(tmp_path)).folder)
    assert use_case.labels is not None
    assert use_case.labels.min_coverage == 0.4


def test_a_bucket_is_told_before_anything_is_written(snapshot: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"s3://b/l: `make new` lands files in a folder"):
        place(plan_for(snapshot), tmp_path / "use_cases", "s3://b/l", TODAY)
    assert not (tmp_path / "use_cases").exists()


def test_names_and_values_with_blanks_that_nobody_sees_are_kept(tmp_path: Path) -> None:
    """An export writes a no-break space between a name and its unit."""
    path = tmp_path / "export.csv"
    frame = customers().rename(
        columns={"customer": "customer\u00a0id", "calls": "calls\u200b", "left": "left\u00a0us"}
    )
    frame["plan"] = frame["plan"].map({"basic": "basic\u00ad", "gold": "gold\u00a0plus"})
    frame.to_csv(path, index=False)
    placed = place(plan_for(path, label="left\u00a0us"), *places(tmp_path))
    use_case = load(placed.folder)
    assert use_case.ingest.key == ["customer\u00a0id"]
    assert use_case.features.numeric == ["calls\u200b", "bill"]
    assert use_case.labels is not None
    assert use_case.labels.from_ == "left\u00a0us"
    sets = [
        expected["value_set"]
        for expected in read_yaml((placed.folder / "expectations.yaml").read_text(), "").content
        if "value_set" in expected
    ]
    assert sets == [["basic\u00ad", "gold\u00a0plus"]]


@pytest.mark.parametrize("scale", [1e-305, 1e300])
def test_numbers_at_the_ends_of_float64_have_a_range(tmp_path: Path, scale: float) -> None:
    path = tmp_path / "x.csv"
    customers().assign(dose=np.arange(1200) % 7 * scale).to_csv(path, index=False)
    placed = place(plan_for(path), *places(tmp_path))
    (found,) = [
        expected
        for expected in read_yaml((placed.folder / "expectations.yaml").read_text(), "").content
        if expected.get("column") == "dose" and "min_value" in expected
    ]
    assert found["min_value"] == 0 < 6 * scale <= found["max_value"] <= 10 * scale
