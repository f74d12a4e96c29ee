"""What a person sees who points Flywheel at a file, and whether a model comes of it."""

from __future__ import annotations

import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from rich.console import Console
from sklearn.datasets import load_diabetes, load_digits, load_wine

from include.feature.build import build_partition
from include.ingest_label.ingest import ingest_labels, ingest_rows
from include.ingest_label.landing import Landing
from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from include.validate_clean.validate import validate_and_clean
from scripts import experiment, new
from tests.include.test_snapshot import customers


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "use_cases"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "use_cases").mkdir()
    return tmp_path


def made(name: str, path: Path, *said: str) -> int:
    return new.main(["--use-case", name, "--data", str(path), *said])


def untidy(path: Path) -> Path:
    """Write customers as a German office would: semicolons, commas, blanks, words, cp1252."""
    frame = customers()
    bill = (frame["bill"].replace(" ", "0").astype(float) * 4000).map(
        lambda number: f"{number:,.2f}".translate(str.maketrans(",.", ".,"))
    )
    rows = np.arange(len(frame))
    pd.DataFrame(
        {
            "Kundennr": frame["customer"].str.removeprefix("c"),
            "Tarif": frame["plan"].map({"basic": "Größe S", "gold": "Größe L"}),
            "Kunde seit": [f"{1 + n % 28:02}.{1 + n % 12:02}.20{n % 24:02}" for n in rows],
            "Anrufe": frame["calls"].astype("str").mask(rows % 40 == 0, "k.A."),
            "Umsatz (€)": bill.mask(rows % 30 == 0, " "),
            "label": "x",
            "gekündigt": frame["left"].map({"Yes": "ja", "No": "nein"}),
        }
    ).to_csv(path, index=False, sep=";", encoding="cp1252")
    return path


def learned(name: str, home: Path) -> dict[str, dict[str, float]]:
    """Bring what has landed through the phases; return the holdout's metrics."""
    use_case = get(name).with_trials(2)
    landing, lake = Landing(str(home / "home/landing")), Lake(str(home / "lake"))
    writer = Writer("test", 1, 1, "test")
    grain = use_case.ingest.partition.grain
    for partition in landing.partitions(use_case.ingest.landing, grain):
        ingest_rows(use_case, partition, landing, lake, writer)
        validate_and_clean(use_case, partition, lake, writer)
        build_partition(use_case, partition, lake, writer)
    assert use_case.labels is not None
    for partition in landing.partitions(use_case.labels.landing, grain):
        ingest_labels(use_case, partition, landing, lake, writer)
    return experiment.run(use_case, lake, None, Console(file=StringIO())).compared.values


def test_an_untidy_export_is_understood_and_learned_from(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made("kunden", untidy(home / "Kunden.csv")) == 0
    use_case = get("kunden")
    assert dict(use_case.ingest.columns) == {
        "Kundennr": "string", "Tarif": "string", "Anrufe": "int64", "Umsatz (€)": "float64"
    }  # fmt: skip
    assert use_case.labels is not None
    assert use_case.labels.classes == {"ja": 1, "nein": 0}
    told = capsys.readouterr().out
    assert "a snapshot: the days of ['Kunde seit'] do not look like the time of a row" in told
    assert "has a name that is Flywheel's own; rename it in the file to use it" in told
    assert "ok   expectations of " in told
    assert "1,200 of 1,200 rows clean, 0 set aside" in told
    assert "make experiment USE_CASE=kunden" in told
    values = learned("kunden", home)
    assert values["model"]["roc_auc"] > 0.65 > values["dummy"]["roc_auc"]


def test_a_regression_without_a_key_is_learned_from(home: Path) -> None:
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(home / "diabetes.csv", index=False)
    assert made("diabetes", home / "diabetes.csv") == 0
    assert get("diabetes").ingest.key == ["row_number"]
    values = learned("diabetes", home)
    assert values["model"]["mae"] < 0.8 * values["dummy"]["mae"]


def test_text_labels_of_a_survey_are_learned_from(home: Path) -> None:
    fair = sm.datasets.fair.load_pandas().data
    fair["affair"] = np.where(fair.pop("affairs") > 0, "yes", "no")
    fair.to_csv(home / "fair.tsv", index=False, sep="\t")
    assert made("fair", home / "fair.tsv") == 0
    values = learned("fair", home)
    assert values["model"]["roc_auc"] > 0.7


def test_three_names_are_classes_that_are_learned(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wine = load_wine(as_frame=True)
    names = np.array(["Barolo", "Grignolino d'Asti", "Barbera"])[wine.target]
    wine.frame.assign(target=names).to_csv(home / "wine.csv", index_label="bottle")
    assert made("wine", home / "wine.csv", "--label", "target") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "178 labels of 3 classes, 27.0% of 'Barbera', the rarest" in told
    assert get("wine").class_names == ["Barbera", "Barolo", "Grignolino d'Asti"]
    values = learned("wine", home)
    assert values["dummy"]["log_loss"] > 1 > 0.2 > values["model"]["log_loss"]
    assert values["model"]["f1_macro"] > 0.9


def test_digits_are_classes_by_their_numbers(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_digits(as_frame=True).frame.to_csv(home / "digits.csv", index_label="image")
    assert made("digits", home / "digits.csv") == 0, "the label is found by its name, 'target'"
    assert get("digits").class_names == [str(number) for number in range(10)]
    told = " ".join(capsys.readouterr().out.split())
    assert "1,797 labels of 10 classes, 9.7% of '8', the rarest" in told


def test_months_are_cut_and_learned_from(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(1200) % 90, "D")
    customers().assign(day=days.strftime("%m/%d/%Y")).to_csv(home / "x.csv", index=False)
    assert made("months", home / "x.csv") == 0
    told = capsys.readouterr().out
    assert "landed as 3 files, one for each month:" in told
    assert "ok   the 2 months before pass, too" in told
    assert learned("months", home)["model"]["roc_auc"] > 0.65


def late_outcomes(home: Path, *, rows: int = 1200) -> tuple[Path, Path]:
    """Write four months of bookings; of the last month no outcome is known yet."""
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows) % 120, "D")
    frame = customers().head(rows).assign(day=days.strftime("%Y-%m-%d"))
    known = frame[frame["day"] < "2024-04-01"][["customer", "left"]]
    frame.drop(columns="left").to_csv(home / "bookings.csv", index=False)
    known.to_csv(home / "outcomes.csv", index=False)
    return home / "bookings.csv", home / "outcomes.csv"


def test_outcomes_that_come_later_are_joined_and_learned_from(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, outcomes = late_outcomes(home)
    with outcomes.open("a") as file:
        file.write("nobody,Yes\n")
    assert made("bookings", rows, "--outcomes", str(outcomes)) == 0
    labels = get("bookings").labels
    assert labels is not None
    assert (labels.strategy, labels.from_) == ("outcome", "left")
    assert labels.classes == {"Yes": 1, "No": 0}
    # April's are missing while March's are there: they come a month later, by the shortest month.
    assert labels.mature_after == timedelta(days=28)
    assert labels.min_coverage == 0.9
    told = capsys.readouterr().out
    assert "landed 3 files of outcomes in the partitions of their rows" in told
    assert "ok   labels of 2024-03: " in told
    assert "1 outcomes belong to no row, and were left out" in told
    landed = sorted((home / "home/landing/bookings_outcomes").iterdir())
    assert [folder.name for folder in landed] == ["2024-01", "2024-02", "2024-03"]
    months = pd.read_csv(rows).set_index("customer")["day"].str[:7]
    for folder in landed:
        found = pd.read_csv(next(folder.iterdir()))
        assert set(months[found["customer"]]) == {folder.name}
    assert sum(len(pd.read_csv(next(folder.iterdir()))) for folder in landed) == 910
    assert learned("bookings", home)["model"]["roc_auc"] > 0.65


def test_columns_that_differ_only_in_case_are_one_to_the_lake(home: Path) -> None:
    frame = customers().assign(Calls=np.arange(1200) % 11, Reason=np.arange(1200) % 5)
    frame.to_csv(home / "x.csv", index=False)
    assert made("churn", home / "x.csv", "--label", "left") == 0
    assert get("churn").features.numeric == ["calls", "bill"]
    written = (home / "use_cases/churn/columns.yaml").read_text()
    assert "# Calls: left out: differs from 'calls' only in upper and lower case" in written


def test_a_column_that_both_files_have_but_that_is_no_key_may_differ(home: Path) -> None:
    rows, outcomes = late_outcomes(home)
    pd.read_csv(outcomes).assign(calls="many").to_csv(outcomes, index=False)
    assert made("bookings", rows, "--outcomes", str(outcomes)) == 0
    assert get("bookings").ingest.columns["calls"] == "int64"


@pytest.mark.parametrize(
    ("outcomes", "said", "message"),
    [
        ("id,left\nc1,Yes\n", [], "shares no column with bookings.csv"),
        ("plan,left\nbasic,Yes\ngold,No\n", [], "which both files have, do not"),
        ("customer,left\nc1,Yes\nc1,No\n", [], "1 stand there again, such as that of"),
        ("customer,left\nc1,Yes\n,No\n", [], "is missing in 1 rows"),
        ("customer,left\nx1,Yes\nx2,No\n", [], "no outcome belongs to a row of bookings.csv"),
        ("customer,left\n1,Yes\n2,No\n", [], "holds int64, but in bookings.csv string"),
        ("customer,plan\nc1,basic\nc2,gold\n", [], "has no column that bookings.csv lacks"),
        ("customer,left\nc1,Yes\nc2,No\n", ["--label", "plan"], "stands in bookings.csv too"),
        ("customer,left\nc1,Yes\nc2,No\n", ["--key", "day"], "there is no column 'day'"),
    ],
)
def test_outcomes_that_do_not_fit_are_told_and_nothing_is_written(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    outcomes: str,
    said: list[str],
    message: str,
) -> None:
    rows, path = late_outcomes(home)
    path.write_text(outcomes)
    assert made("bookings", rows, "--outcomes", str(path), *said) == 1
    assert message in capsys.readouterr().err
    assert list((home / "use_cases").iterdir()) == []
    assert not (home / "home").exists()


def test_a_key_that_repeats_beyond_the_sample_is_told_and_nothing_is_written(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.profiling.raw.SAMPLE_ROWS", 600)
    rows, outcomes = late_outcomes(home)
    frame = pd.read_csv(rows)
    frame.loc[1, "customer"] = frame.loc[2, "customer"]  # every third row is in the sample
    frame.to_csv(rows, index=False)
    assert made("bookings", rows, "--outcomes", str(outcomes)) == 1
    message = "KEY=customer: must identify each row, but 1 rows have a key that stands there before"
    assert message in capsys.readouterr().err
    assert list((home / "use_cases").iterdir()) == []


def test_a_word_beyond_the_sample_fails_the_check_with_what_would_accept_it(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.profiling.raw.SAMPLE_ROWS", 600)
    frame = customers()
    frame["calls"] = frame["calls"].astype("object")
    frame.loc[1199, "calls"] = "n/a"
    frame.to_csv(home / "x.csv", index=False)
    assert made("churn", home / "x.csv") == 1
    told = capsys.readouterr().out
    assert "Looked at 400 of 1,200 rows." in told
    assert "FAIL rows of " in told
    assert "write `null_values: " in told
    assert told.splitlines()[-1] == "Correct what failed, then: make validate USE_CASE=churn"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "nobody"], "LABEL=nobody: there is no such column"),
        (["--key", "plan"], "KEY=plan: must identify each row, but"),
        (["--time", "plan"], "TIME=plan: must be a column of days or times"),
    ],
)
def test_an_answer_that_cannot_be_is_told_and_nothing_is_written(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    customers().to_csv(home / "x.csv", index=False)
    assert made("churn", home / "x.csv", *arguments) == 1
    assert message in capsys.readouterr().err
    assert list((home / "use_cases").iterdir()) == []
    assert not (home / "home").exists()


@pytest.mark.parametrize("name", ["", "My-Case", "../churn", "1st", "a" * 300])
def test_a_name_that_is_none_is_told(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert made(name, home / "nowhere.csv") == 1
    assert f"USE_CASE={name}: must be lower-case letters, digits and '_'" in capsys.readouterr().err


def test_a_name_that_is_taken_is_told_before_the_file_is_read(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "use_cases" / "churn").mkdir()
    assert made("churn", home / "nowhere.csv") == 1
    assert "churn is there already, and is left as it is" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    customers().to_csv(home / "x.csv", index=False)
    asked = []

    def answer(question: str, *, default: str, **_: object) -> str:
        asked.append(question)
        return default

    monkeypatch.setattr(new.Prompt, "ask", answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert made("churn", home / "x.csv", "--label", "left") == 0
    # The label was given, and no column holds times.
    assert asked == (["  Which columns identify a row (separated by commas)?"] if terminal else [])
