"""A model is fitted again from its pins: the same, or the verdict names what differs."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

from include.errors import DataContractError
from include.modelling import fit as fitting
from include.modelling.estimators import make
from include.train_tune import reproduce as module
from include.train_tune.reproduce import reproduce
from tests.support import trainings
from tests.support.houses import make_house
from tests.support.lakes import fill
from tests.support.packages import tiny_rows


def train(house: Any) -> str:
    return trainings.train(house).version


def again(house: Any, version: str) -> module.Reproduced:
    return reproduce("tiny", version, house.lake, house.registry)


def test_the_same_model_comes_of_it_bit_for_bit_after_everything_moved_on(
    each_house, tmp_path, monkeypatch
):
    """New rows, another configuration in the working tree: the pins are what counts."""
    house, version = each_house, train(each_house)
    for month in ("2024-01", "2024-02", "2024-03"):
        fill(house.lake, house.use_case, month, tiny_rows(month=month, seed=77))
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "nothing is here"))
    before = house.registry.details("tiny", version), house.registry.aliases("tiny")

    done = again(house, version)

    assert (done.verdict, done.rows_differing, done.largest_difference) == ("identical", 0, 0.0)
    assert done.rows == 400
    assert done.classes_differing == (None if house.use_case.task == "regression" else 0)
    metric = house.use_case.train.metric
    value = house.registry.load("tiny", version).facts["metrics"][metric]
    assert done.metrics[metric] == {"then": value, "stored": value, "now": value}
    assert (done.environment, done.gone) == ({}, [])
    assert json.loads(json.dumps(asdict(done), allow_nan=False))["verdict"] == "identical"
    assert (house.registry.details("tiny", version), house.registry.aliases("tiny")) == before
    assert house.registry.versions("tiny") == [version], "nothing is registered"


@pytest.mark.parametrize(
    ("by", "verdict"),
    [(1e-9, "equal"), (0.9e-6, "equal"), (1.1e-6, "different"), (0.6, "different")],
)
def test_a_difference_is_judged_by_its_size_and_by_the_classes(house, monkeypatch, by, verdict):
    version = train(house)
    real, shift = module.score_rows, iter([0.0, by])
    monkeypatch.setattr(
        module, "score_rows", lambda *given: real(*given) + next(shift) * np.eye(1, 400)[0]
    )

    done = again(house, version)

    assert (done.verdict, done.rows_differing) == (verdict, 1)
    assert done.largest_difference == pytest.approx(by, rel=1e-6)
    if verdict == "different":
        assert "1 of 400 holdout rows are predicted otherwise" in done.because


def test_a_class_that_flips_is_a_difference_however_small(house, monkeypatch):
    version = train(house)
    scores = iter([np.full(400, 0.5), np.full(400, 0.5 - 1e-12)])
    monkeypatch.setattr(module, "score_rows", lambda *_: next(scores))

    done = again(house, version)

    assert (done.verdict, done.classes_differing) == ("different", 400)


def test_another_seed_gives_another_model_and_the_verdict_is_different(tmp_path):
    """The comparison can fail: k-means from another seed finds other clusters."""
    house = make_house(tmp_path, "clustering")
    version = train(house)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            fitting, "make", lambda use_case, name, params, _: make(use_case, name, params, 12345)
        )
        done = again(house, version)

    assert done.verdict == "different"
    assert done.rows_differing == done.classes_differing > 0


def test_what_differs_in_the_environment_is_named(house, monkeypatch):
    version = train(house)
    then = house.registry.load("tiny", version).facts
    now = {**module.environment(), "lock_hash": "f" * 16, "machine": "Linux aarch64, ARM"}
    monkeypatch.setattr(module, "environment", lambda: now)

    assert again(house, version).environment == {
        "lock_hash": {"then": then["lock_hash"], "now": "f" * 16},
        "machine": {"then": then["machine"], "now": "Linux aarch64, ARM"},
    }


def test_a_table_that_was_made_anew_makes_it_impossible_and_says_so(house):
    version = train(house)
    shutil.rmtree(Path(house.lake.uri) / "tiny" / "labels")
    for month in ("2024-01", "2024-02"):
        fill(house.lake, house.use_case, month)

    done = again(house, version)

    assert done.verdict == "impossible"
    assert "tiny.labels: version 1 was pinned in the table with the id" in done.because
    assert [words[:17] for words in done.gone] == ["table tiny.labels"]
    assert (done.rows, done.largest_difference, done.metrics) == (0, None, {})


def test_data_that_retention_took_is_named_with_what_is_left(house):
    version = train(house)
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77))
    table = DeltaTable(f"{house.lake.uri}/tiny/features")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    done = again(house, version)

    assert done.verdict == "impossible"
    assert "Someone vacuumed the table" in done.because
    assert done.gone == [
        "tiny.features, version 1: data files of 2024-01 are gone (vacuumed or deleted); left are "
        "2024-02."
    ]


def test_clean_rows_that_are_gone_are_named_and_do_not_stop_it(house):
    version = train(house)
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77))
    table = DeltaTable(f"{house.lake.uri}/tiny/clean")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    done = again(house, version)

    assert done.verdict == "identical"
    assert done.gone[0].startswith("tiny.clean, version 1: data files of 2024-01 are gone")


def test_it_is_fitted_with_as_many_threads_as_then(house, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    version = train(house)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    limits = []
    real = module.threadpool_limits
    monkeypatch.setattr(
        module, "threadpool_limits", lambda limit: (limits.append(limit), real(limit))[1]
    )

    done = again(house, version)

    assert limits == [2]
    assert done.environment == {"threads": {"then": "2", "now": "1"}}


def test_a_version_that_does_not_exist_is_an_error(house):
    with pytest.raises(DataContractError, match="tiny version 9: no such version"):
        again(house, "9")
