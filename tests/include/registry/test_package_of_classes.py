"""Packages of models of three classes: each estimator comes back as it was, and is monitored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from include.modelling.estimators import defaults
from include.modelling.fit import fit
from include.modelling.scoring import score_rows
from include.use_cases.spaces import ESTIMATORS
from tests.support.packages import make_package
from tests.support.three_classes import NAMES, three_class_rows, three_classes


@pytest.mark.parametrize("name", ESTIMATORS["classification"])
def test_what_was_packed_answers_alike(name: str, tmp_path: Path) -> None:
    use_case = three_classes(candidates=[{"estimator": name}])
    rows, fresh = three_class_rows(), three_class_rows(200, seed=8)
    model = make_package(tmp_path, use_case=use_case, rows=rows).load()
    params = defaults(use_case.train.candidates[0])
    X = rows[use_case.features.columns]
    by_hand = fit(use_case, name, params, X, rows["outcome"])
    np.testing.assert_array_equal(
        score_rows(model.estimator, fresh, model.use_case), score_rows(by_hand, fresh, use_case)
    )
    assert model.use_case.class_names == NAMES
    answers = model.predict_features(model.reference.drop(columns="prediction"))
    assert model.reference["prediction"].tolist() == answers["predicted_class"].tolist()
