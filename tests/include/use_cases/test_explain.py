from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import ConfigError
from include.use_cases.explain import explained, with_changes

CONF = Path(__file__).parent / "confs" / "valid" / "classification_full.yaml"


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "use_case.yaml").write_text(CONF.read_text())
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    return "churn"


def test_each_value_has_its_line_or_is_a_default(name: str) -> None:
    lines = {line.split("#")[0].strip(): line.split("# ")[-1] for line in explained(name)}
    numbers = {
        text.strip().split(":")[0]: number
        for number, text in enumerate(CONF.read_text().split("\n"), 1)
    }
    assert lines["metric: roc_auc"] == f"line {numbers['metric']}"
    assert lines["max_rows: 200000"] == "default"
    assert lines["trials: 4"] == f"line {numbers['tuning']}"
    assert lines["random_state: 7"] == f"line {numbers['tuning']}"
    assert lines["min_completed_share: 0.5"] == "default"
    assert lines["- estimator: logistic_regression"].startswith("line ")
    assert lines["n_estimators: 50"].startswith("line ")
    assert lines["high: 64.0"] == "default"  # of min_samples_leaf


def test_changes_are_yaml_and_leave_the_file(name: str) -> None:
    before = CONF.read_text()
    changed = with_changes(
        name, {"train.tuning.trials": "5", "train.candidates.1.n_estimators": "60", "monitor": "{}"}
    )
    assert changed.train.tuning.trials == 5
    assert changed.train.candidates[1].n_estimators == 60  # type: ignore[union-attr]
    assert changed.monitor.min_rows == 200
    assert CONF.read_text() == before
    assert with_changes(name, {}).train.tuning.trials == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.tuning.trials": "0"}, r"with train.tuning.trials=0: train.tuning.trials must be"),
        ({"train.trials": "5"}, r"with train.trials=5: train.trials"),
        ({"train.metric.x": "5"}, r"train.metric.x: there is nothing that could be set"),
        ({"train.metric.x.y": "5"}, r"there is nothing below 'x'"),
        ({"train.candidates.9.n": "5"}, r"train.candidates.9.n: there is nothing below '9'"),
        ({"train.metric": "[a"}, r"train.metric=\[a, line 1: "),
    ],
)
def test_a_change_that_cannot_be_is_told(name: str, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_changes(name, changes)


def test_a_use_case_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"There is no use case 'none' .* there are \['{name}'"):
        list(explained("none"))
