"""A use case with its own estimator and its own metric, through the whole wheel."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from include.batch_predict.predict import predict_partition
from include.deploy.apply import promote
from include.deploy.compare import compare
from include.deploy.refit import refit
from include.drift_monitor.monitor import monitor_partition
from include.errors import ConfigError
from include.lake.records import Writer
from include.modelling.scoring import score_rows
from include.train_tune.prepare import prepare
from include.train_tune.reproduce import reproduce
from include.use_cases.loader import dump, get, root
from tests.support.houses import House
from tests.support.lakes import fill, tiny_lake
from tests.support.packages import TINY, tiny_use_case
from tests.support.registries import local_registry
from tests.support.trainings import train

MODELS = """
import numpy as np
from sklearn.linear_model import LogisticRegression


class Bold(LogisticRegression):
    def __init__(self, C=1.0, boldness=1.0, random_state=0):
        super().__init__(C=C, random_state=random_state)
        self.boldness = boldness

    def predict_proba(self, X):
        score = np.minimum(1.0, self.boldness * super().predict_proba(X)[:, 1])
        return np.column_stack([1 - score, score])
"""
METRICS = """
import numpy as np


def profit(truth, score):
    return float(np.mean(np.where(score >= 0.5, np.where(truth > 0.5, 9.0, -1.0), 0.0)))
"""
SUITE = "- {expectation: expect_column_values_to_not_be_null, column: x, on_failure: quarantine}\n"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Make `tiny` a use case on disk, whose metric pays for predicting more of class 1."""
    folder = tmp_path / "use_cases" / "tiny"
    folder.mkdir(parents=True)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
    bold = {
        "estimator": "own:models.Bold",
        "params": {"C": 1.0, "boldness": {"low": 3.0, "high": 6.0}},
    }
    use_case = tiny_use_case(
        train={
            **TINY["train"],
            "metric": "own:metrics.profit",
            "greater_is_better": True,
            "candidates": [bold],
        },
        monitor={"min_rows": 30, "min_effect": 0.3},
    )
    (folder / "use_case.yaml").write_text(dump(use_case))
    (folder / "expectations.yaml").write_text(SUITE)
    (folder / "models.py").write_text(MODELS)
    (folder / "metrics.py").write_text(METRICS)
    use_case = get("tiny")
    return House(
        use_case, tiny_lake(tmp_path, use_case), local_registry(tmp_path / "r"), tmp_path / "work"
    )


def _profit(truth, score):
    return np.mean(np.where(score >= 0.5, np.where(truth > 0.5, 9.0, -1.0), 0.0))


def test_it_is_trained_judged_refitted_served_monitored_and_reproduced(house):
    use_case, lake, registry = house.use_case, house.lake, house.registry
    trained = train(house)
    assert (trained.candidate, trained.metric) == ("own:models.Bold", "own:metrics.profit")
    assert trained.value > trained.linear > 0
    facts = registry.load("tiny", trained.version).facts
    assert facts["holdout_estimate"]["value"] == pytest.approx(trained.value)

    verdict = compare(use_case, trained.version, None, lake, registry)
    assert verdict.promote, verdict.reasons
    assert (verdict.metric, verdict.grounds) == ("own:metrics.profit", "first")
    assert verdict.confidence_low is not None  # it was resampled

    again = refit(use_case, trained.version, lake, registry, house.work)
    assert again.version is not None, again.reasons
    served = promote(
        use_case, again.version, asdict(verdict), registry, house.ledger, who="ann", run_id="deploy"
    )
    assert served is not None

    rows = fill(lake, use_case, "2024-03")
    writer = Writer(run_id="test", attempt=1, token=1, code_version="test")
    predict_partition(use_case, "2024-03", again.version, lake, registry, writer)
    monitored = monitor_partition(use_case, "2024-03", lake, registry, writer, house.work / "html")
    score = score_rows(registry.load("tiny", again.version).estimator, rows, use_case)
    assert monitored.performance == pytest.approx(_profit(rows["outcome"], score))
    assert reproduce("tiny", trained.version, lake, registry).verdict == "identical"


def test_a_training_with_own_code_that_is_wrong_does_not_begin(house):
    (root() / "tiny" / "metrics.py").write_text(METRICS.replace("score >= 0.5", "score < 0.5"))
    with pytest.raises(ConfigError, match=r"tiny: train.metric: .* Flip train.greater_is_better"):
        prepare(get("tiny"), "2024-02", house.lake, house.registry, "wrong")
    assert house.registry.trainings("tiny") == {}
