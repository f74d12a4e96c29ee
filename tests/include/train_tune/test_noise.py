"""A clustering that calls rows noise, from its training to the drift of its predictions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from include.batch_predict.predict import predict_partition
from include.deploy.apply import promote
from include.deploy.compare import compare
from include.drift_monitor.monitor import monitor_partition
from include.lake.records import Writer
from include.lake.table import Lake
from tests.support.houses import House
from tests.support.lakes import fill
from tests.support.packages import TINY, tiny_rows, tiny_use_case
from tests.support.registries import local_registry
from tests.support.trainings import train

WRITER = Writer(run_id="test", attempt=1, token=1, code_version="test")


def rows_of(month: str, seed: int, far: float = 0.0) -> pd.DataFrame:
    """Return rows in three dense places, and a share of them that is far from all.

    Three, because the baseline, two k-means, would find two as well.
    """
    rows, draw = tiny_rows(month=month, seed=seed), np.random.default_rng(seed)
    place = draw.integers(0, 3, len(rows))
    rows["x"] += 20.0 * place
    rows["z"] += 20.0 * (place == 1)
    lost = draw.random(len(rows)) < far
    rows.loc[lost, "z"] += draw.uniform(100, 900, lost.sum())
    return rows


def test_noise_is_predicted_published_and_a_rising_share_of_it_is_drift(tmp_path: Path) -> None:
    train_section = {
        **TINY["train"],
        "metric": "silhouette",
        "candidates": [{"estimator": "hdbscan", "min_cluster_size": {"low": 20, "high": 40}}],
    }
    use_case = tiny_use_case(
        "clustering",
        train=train_section,
        features={"inputs": ["x", "z"], "numeric": ["x", "z"]},
        monitor={"min_rows": 30},
    )
    lake = Lake(str(tmp_path / "lake"))
    house = House(use_case, lake, local_registry(tmp_path / "registry"), tmp_path / "work")
    for number, month in enumerate(("2024-01", "2024-02")):
        fill(lake, use_case, month, rows_of(month, seed=number), labelled=False)

    trained = train(house)
    assert trained.candidate == "hdbscan", trained.choice
    verdict = compare(use_case, trained.version, None, lake, house.registry)
    assert verdict.promote, verdict.reasons
    promote(
        *(use_case, trained.version, asdict(verdict), house.registry, house.ledger),
        who="ann",
        run_id="deploy",
    )

    found = {}
    for month, far in (("2024-03", 0.0), ("2024-04", 0.4)):
        fill(lake, use_case, month, rows_of(month, seed=7, far=far), labelled=False)
        predict_partition(use_case, month, trained.version, lake, house.registry, WRITER)
        predicted = lake.table("tiny", "predictions").read([month])["prediction"].to_numpy()
        monitored = monitor_partition(
            use_case, month, lake, house.registry, WRITER, tmp_path / "html"
        )
        found[month] = (predicted == -1).mean(), monitored.prediction_drift
    assert found["2024-04"][0] > found["2024-03"][0] + 0.3
    assert found["2024-03"][1] is False
    assert found["2024-04"][1] is True
