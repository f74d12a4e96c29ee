from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.due.definitions import definition_of
from include.errors import ConfigError
from include.use_cases import loader
from include.use_cases.explain import explained, with_changes
from include.use_cases.yaml_text import read, write

VALID = Path(__file__).parent / "confs" / "valid" / "regression.yaml"
COLUMNS = "plan: string\n"
SUITE = (
    "- {expectation: expect_column_values_to_not_be_null, column: plan, on_failure: quarantine}\n"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a root with one good use case, `churn`."""
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "use_case.yaml").write_text(VALID.read_text())
    (tmp_path / "churn" / "expectations.yaml").write_text(SUITE)
    return tmp_path


def test_shipped_use_cases_load_and_are_of_all_kinds() -> None:
    loaded = loader.load_all(loader.ROOT)
    assert loaded.broken == {}
    assert {name: use_case.task for name, use_case in loaded.use_cases.items()} == {
        "air_time": "regression",
        "digits": "classification",
        "flight_delays": "classification",
        "votes": "classification",
        "weather_regimes": "clustering",
    }


def test_shipped_use_cases_name_the_published_schema() -> None:
    for path in loader.ROOT.glob("*/use_case.yaml"):
        first = path.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=../use_case.schema.json", path


def test_shipped_flight_features_know_nothing_after_departure() -> None:
    late = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
    for name in ("flight_delays", "air_time"):
        use_case = loader.load(loader.ROOT / name)
        assert not late & set(use_case.features.inputs)
        assert not {"month", "year"} & set(use_case.features.columns)


def test_a_broken_use_case_does_not_hide_the_others(root: Path) -> None:
    (root / "broken").mkdir()
    (root / "broken" / "use_case.yaml").write_text("task: guessing\n")
    loaded = loader.load_all()
    assert list(loaded.use_cases) == ["churn"]
    assert "broken/use_case.yaml, line 1: task must be one of" in str(loaded.broken["broken"])


def test_get_names_what_exists(root: Path) -> None:
    assert loader.get("churn").name == "churn"
    with pytest.raises(ConfigError, match=r"no use case 'chrun' .* there are \['churn'\]"):
        loader.get("chrun")


def test_missing_root_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere: .* does not exist. .* FLYWHEEL_USE_CASES"):
        loader.load_all()


def test_name_of_the_folder_is_checked(root: Path) -> None:
    (root / "churn").rename(root / "Churn-2")
    [error] = loader.load_all().broken.values()
    assert "name must match ^[a-z][a-z0-9_]*$, got 'Churn-2'" in str(error)


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        (
            "- "
            "{expectation: expect_column_values_to_not_be_null, column: plam, on_failure: refuse}",
            "line 1: expectations.0 expect_column_values_to_not_be_null names column 'plam', which "
            "is not one",
        ),
        (
            "- {expectation: expect_column_values_to_be_between, column: bill, min_value: 0,"
            " mostly: 0.9, on_failure: quarantine}",
            "has 'mostly', which a quarantine of single rows cannot mean",
        ),
        (
            "- "
            "{expectation: expect_column_values_to_not_be_null, column: plan, on_failure: ignore}",
            "expectations.0.on_failure must be one of ['quarantine', 'refuse'], got 'ignore'",
        ),
        (
            "- {expectation: notNull, column: plan, on_failure: refuse}",
            "expectations.0.expectation must match ^expect_[a-z0-9_]+$, got 'notNull'",
        ),
        ("expectations: []", "expectations must be a list, got {'expectations': []}"),
    ],
)
def test_broken_suite_breaks_the_use_case(root: Path, suite: str, message: str) -> None:
    (root / "churn" / "expectations.yaml").write_text(suite)
    with pytest.raises(ConfigError) as error:
        loader.get("churn")
    assert "churn/expectations.yaml" in str(error.value)
    assert message in str(error.value)


def test_missing_suite_is_named(root: Path) -> None:
    (root / "churn" / "expectations.yaml").unlink()
    with pytest.raises(ConfigError, match=r"churn/expectations.yaml: cannot be read"):
        loader.get("churn")


def test_python_of_a_use_case_is_loaded_and_follows_the_file(root: Path) -> None:
    use_case = loader.get("churn")
    assert loader.python_of(use_case).module() is None
    path = root / "churn" / "features.py"
    for number in (1, 2):
        path.write_text(f"ANSWER = {number}\n")
        module = loader.python_of(use_case).module()
        assert module is not None
        assert number == module.ANSWER


def test_loading_stays_light() -> None:
    """Dag files load use cases each time they are parsed: Airflow does that all day."""
    heavy = ("pandas", "pyarrow", "sklearn", "mlflow", "great_expectations", "airflow")
    code = (
        "import sys; from include.use_cases import loader; loader.load_all(loader.ROOT); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=loader.ROOT.parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def with_columns_beside(root: Path, columns: str = COLUMNS) -> Path:
    """Move the column types of `churn` into a file beside its YAML; return that."""
    folder = root / "churn"
    content = read((folder / "use_case.yaml").read_text(), "u.yaml").content
    content["ingest"]["columns"] = "columns.yaml"
    (folder / "use_case.yaml").write_text(write(content))
    (folder / "columns.yaml").write_text(columns)
    return folder / "columns.yaml"


def test_columns_in_a_file_of_their_own_are_part_of_the_whole(root: Path) -> None:
    before = loader.get("churn")
    written = write(dict(before.ingest.columns))
    with_columns_beside(root, written)

    assert loader.get("churn") == before
    # What goes into a model package needs no file beside it.
    assert loader.load_text(loader.dump(before), "churn", "package") == before


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("plan: string\nage: int\n", r"churn/columns.yaml, line 2: ingest.columns.age must be one"),
        ("- plan\n", r"churn/columns.yaml: must be a mapping of columns to types, got list"),
        ("plan: string\nplan: bool\n", r"churn/columns.yaml, line 2: key 'plan' is given twice"),
    ],
)
def test_errors_in_that_file_name_it(root: Path, columns: str, message: str) -> None:
    with_columns_beside(root, columns)
    with pytest.raises(ConfigError, match=message):
        loader.get("churn")


def test_a_column_that_the_file_lacks_is_told_where_it_is_used(root: Path) -> None:
    path = with_columns_beside(root, "plan: string\n")
    with pytest.raises(ConfigError, match=r"churn/use_case.yaml, line \d+: ingest.key"):
        loader.get("churn")
    path.unlink()
    with pytest.raises(ConfigError, match=r"churn/columns.yaml: cannot be read"):
        loader.get("churn")


@pytest.mark.parametrize("named", ["../columns.yaml", "/etc/passwd", "columns"])
def test_only_a_file_beside_the_yaml_can_be_named(root: Path, named: str) -> None:
    with_columns_beside(root)
    path = root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace("columns: columns.yaml", f"columns: {named}"))
    with pytest.raises(ConfigError, match=r"line \d+: ingest.columns must be a mapping .* or"):
        loader.get("churn")


def test_the_explanation_names_the_line_of_that_file(root: Path) -> None:
    with_columns_beside(root, write(dict(loader.get("churn").ingest.columns)))
    (first, *_) = loader.get("churn").ingest.columns
    told = [line for line in explained("churn") if line.strip().startswith(f"{first}: ")]
    assert told[0].endswith("churn/columns.yaml, line 1")
    assert with_changes("churn", {"train.tuning.trials": "5"}).train.tuning.trials == 5


def with_own_code(root: Path, models: str | None = "class Stump:\n    pass\n") -> None:
    """Let `churn` name an estimator of its own in `models.py`."""
    folder = root / "churn"
    text = (folder / "use_case.yaml").read_text()
    own = "\n    - estimator: own:models.Stump\n"
    (folder / "use_case.yaml").write_text(text.replace("\n    - estimator: ridge\n", own))
    if models is not None:
        (folder / "models.py").write_text(models)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (None, r"names 'own:models.Stump', but there is no models.py; there are \[\]"),
        (
            "class Stmup:\n    pass\n",
            r"models.py defines no class 'Stump' .* it defines \['Stmup'\]",
        ),
        ("def Stump():\n    pass\n", r"models.py defines no class 'Stump'"),
        ("from x import Stump\n", r"models.py defines no class 'Stump'"),
        ("class Stump\n", r"models.py, line 1: "),
    ],
)
def test_own_code_that_is_not_there_breaks_the_use_case(
    root: Path, models: str | None, message: str
) -> None:
    with_own_code(root, models)
    with pytest.raises(ConfigError, match=message) as error:
        loader.get("churn")
    if models != "class Stump\n":
        assert re.search(r"churn/use_case.yaml, line \d+: train.candidates.0", str(error.value))


def test_own_code_is_read_and_not_run_when_a_use_case_is_loaded(root: Path) -> None:
    with_own_code(root, "raise SystemExit\nclass Stump:\n    pass\n")
    use_case = loader.get("churn")
    assert [name for name, _ in loader.python_of(use_case).files] == ["models.py"]
    assert use_case.python == loader.python_of(use_case)


def test_own_code_is_part_of_a_training_and_not_of_the_features(root: Path) -> None:
    with_own_code(root)
    (root / "churn" / "features.py").write_text("def derive(frame):\n    return frame\n")
    stages = ("features", "training", "monitoring")
    before = {stage: definition_of(loader.get("churn"), stage) for stage in stages}
    (root / "churn" / "models.py").write_text("class Stump:\n    other = 1\n")
    after = {stage: definition_of(loader.get("churn"), stage) for stage in stages}
    assert [stage for stage in stages if before[stage] != after[stage]] == ["training"]
