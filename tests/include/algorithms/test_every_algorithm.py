"""Checks that every algorithm passes, each for each of its tasks.

A new file in include/algorithms is checked without a further line here.
"""

import subprocess
import sys

import numpy as np
import optuna
import pandas as pd
import pytest
import skops.io
from sklearn.metrics import homogeneity_score, r2_score, roc_auc_score

from include.algorithms import ALGORITHMS, Span, WholeSpan
from include.algorithms._empty_columns import EmptyColumns
from include.errors import ConfigError, DataContractError
from include.modelling import estimators
from include.modelling.fit import fit
from include.modelling.scoring import score_rows
from include.registry.package import load_package, reference_of, write_package
from include.registry.signing import ensure_keys
from include.registry.trusted import TRUSTED_TYPES
from include.use_cases.python_package import OwnPython
from tests.support.packages import tiny_use_case

EVERY = [(task, name) for name, one in ALGORITHMS.items() for task in one.tasks]
METRIC = {"classification": "roc_auc", "regression": "rmse", "clustering": "silhouette"}
ROWS = 400

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every = pytest.mark.parametrize(("task", "name"), EVERY)


def a_use_case(task, name, features=None):
    """Return a use case with one candidate, as its file declares it."""
    train = {
        "metric": METRIC[task],
        "split": {"by": "at", "folds": 2},
        "candidates": [{"estimator": name}],
    }
    sections = {"train": train} if features is None else {"train": train, "features": features}
    return tiny_use_case(task, **sections)


def some_data(use_case, rows=ROWS, seed=0):
    """Return features and labels: two groups of rows that x, z and the colour tell apart."""
    draw = np.random.default_rng(seed)
    group = draw.integers(0, 2, rows)
    group[:10] = [0, 1] * 5  # few rows have both too
    X = pd.DataFrame(
        {
            "x": draw.normal(6.0 * group - 3.0, 1.0),
            "z": draw.normal(6.0 * group - 3.0, 1.0),
            "colour": pd.Series(np.where(group == 1, "red", "blue"), dtype="str"),
        }
    )[use_case.features.columns]
    label = group if use_case.task == "classification" else 100.0 * group + draw.normal(0, 1, rows)
    return X, None if use_case.task == "clustering" else pd.Series(label), group


def fitted(use_case, X, y, seed=0):
    (space,) = use_case.train.candidates
    model = estimators.make(use_case, space.estimator, estimators.defaults(space), seed)
    return model.fit(X, y)


def agreement(use_case, scores, y, group):
    """1 where the scores are all right, about 0 where they are guessed.

    A clustering is right where each cluster has rows of one group, however many clusters there are.
    """
    if use_case.task == "classification":
        return 2 * roc_auc_score(y, scores) - 1
    if use_case.task == "regression":
        return r2_score(y, scores)
    return homogeneity_score(group, scores)


@every
def test_it_learns_what_is_plain(task, name):
    use_case = a_use_case(task, name)
    X, y, _ = some_data(use_case)
    new, truth, group = some_data(use_case, seed=1)
    scores = score_rows(fitted(use_case, X, y), new, use_case)
    assert agreement(use_case, scores, truth, group) > 0.8


@every
def test_the_same_seed_gives_the_same_model_bit_for_bit(task, name):
    use_case = a_use_case(task, name)
    X, y, _ = some_data(use_case)
    first, second = (score_rows(fitted(use_case, X, y, seed=3), X, use_case) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@every
def test_a_signed_package_gives_the_same_scores_bit_for_bit(task, name, tmp_path):
    use_case = a_use_case(task, name)
    X, y, _ = some_data(use_case)
    model = fitted(use_case, X, y)
    signing, verify = tmp_path / "signing.pem", tmp_path / "verify.pem"
    ensure_keys(signing, verify)
    write_package(
        tmp_path / "package",
        estimator=model,
        use_case=use_case,
        python=OwnPython("tiny"),
        example={"x": 0.0, "z": 0.0, "colour": "red"},
        reference=reference_of(model, X, use_case),
        facts={"candidate": name},
        run_id="run",
        signing_key=signing,
    )
    loaded = load_package(tmp_path / "package", verify)
    np.testing.assert_array_equal(
        score_rows(loaded.estimator, X, use_case), score_rows(model, X, use_case)
    )
    pinned = (tmp_path / "package" / "requirements.txt").read_text()
    assert all(f"{package}==" in pinned for package in ALGORITHMS[name].packages)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_names_the_types_of_its_model_file_and_no_others(name):
    """A type that is trusted in vain is a door that nobody needs."""
    found: set[str] = set()
    for task in ALGORITHMS[name].tasks:
        use_case = a_use_case(task, name)
        X, y, _ = some_data(use_case)
        file = skops.io.dumps(fitted(use_case, X, y).named_steps["estimate"])
        found |= set(skops.io.get_untrusted_types(data=file))
    assert found - {"numpy.dtype"} == set(ALGORITHMS[name].trusted)
    assert found <= set(TRUSTED_TYPES)


@every
def test_missing_numbers_are_learned_around(task, name):
    use_case = a_use_case(task, name)
    X, y, group = some_data(use_case)
    gaps = X.copy()
    gaps.loc[np.random.default_rng(2).random(ROWS) < 0.2, "z"] = np.nan
    scores = score_rows(fitted(use_case, gaps, y), gaps, use_case)
    assert np.isfinite(scores).all()
    assert agreement(use_case, scores, y, group) > 0.6


@every
def test_a_column_that_is_missing_in_every_row_is_survived(task, name):
    use_case = a_use_case(task, name)
    X, y, group = some_data(use_case)
    scores = score_rows(fitted(use_case, X.assign(z=np.nan), y), X.assign(z=np.nan), use_case)
    assert agreement(use_case, scores, y, group) > 0.6


@every
def test_all_categories_that_were_never_seen_are_one(task, name):
    use_case = a_use_case(task, name)
    X, y, _ = some_data(use_case)
    model = fitted(use_case, X, y)
    first, second = (
        score_rows(model, X.assign(colour=strange), use_case) for strange in ("octarine", "")
    )
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()
    if task != "clustering":  # the other features still count
        assert first[X["x"] > 2].mean() > first[X["x"] < -2].mean()


@every
def test_one_row_is_scored_as_in_a_batch(task, name):
    """A sum over columns may be taken in another order for one row: the last bits may differ."""
    use_case = a_use_case(task, name)
    X, y, _ = some_data(use_case)
    model, rows = fitted(use_case, X, y), X.iloc[:50]
    alone = [score_rows(model, rows.iloc[[row]], use_case)[0] for row in range(len(rows))]
    np.testing.assert_allclose(alone, score_rows(model, rows, use_case), rtol=1e-12, atol=1e-12)


@every
def test_scores_do_not_depend_on_the_order_of_the_rows(task, name):
    use_case = a_use_case(task, name)
    X, y, _ = some_data(use_case)
    model, order = fitted(use_case, X, y), np.random.default_rng(4).permutation(ROWS)
    here, there = score_rows(model, X, use_case), score_rows(model, X.iloc[order], use_case)
    np.testing.assert_allclose(there, here[order], rtol=1e-12, atol=1e-12)


@every
def test_a_constant_column_does_no_harm(task, name):
    use_case = a_use_case(task, name)
    X, y, group = some_data(use_case)
    X = X.assign(z=7.0, colour="red")
    scores = score_rows(fitted(use_case, X, y), X, use_case)
    assert agreement(use_case, scores, y, group) > 0.6


@every
@pytest.mark.parametrize("column", ["x", "colour"])
def test_one_feature_is_enough(task, name, column):
    kinds = {"numeric": ["x"]} if column == "x" else {"categorical": ["colour"]}
    use_case = a_use_case(task, name, {"inputs": [column], **kinds})
    X, y, group = some_data(use_case)
    scores = score_rows(fitted(use_case, X, y), X, use_case)
    assert agreement(use_case, scores, y, group) > 0.6


@every
def test_rows_that_stand_there_many_times_are_scored_alike(task, name):
    use_case = a_use_case(task, name)
    X, y, group = some_data(use_case, rows=40)
    often = np.tile(np.arange(40), 10)
    X = X.iloc[often].reset_index(drop=True)
    y = None if y is None else y.iloc[often].reset_index(drop=True)
    scores = score_rows(fitted(use_case, X, y), X, use_case).reshape(10, 40)
    np.testing.assert_allclose(scores, np.tile(scores[0], (10, 1)), rtol=1e-12, atol=1e-12)
    first = None if y is None else y.iloc[:40]
    assert agreement(use_case, scores[0], first, group) > 0.6


@every
def test_it_fits_on_the_fewest_rows_that_it_names_and_refuses_fewer_with_words(task, name):
    use_case = a_use_case(task, name)
    (space,) = use_case.train.candidates
    params = estimators.defaults(space)
    fewest = ALGORITHMS[name].fewest_rows(params)
    X, y, _ = some_data(use_case, rows=fewest)
    model = fit(use_case, name, params, X, y)
    assert np.isfinite(score_rows(model, X, use_case)).all()
    with pytest.raises(DataContractError, match=rf"{name} with .* at least {fewest} rows, got"):
        fit(use_case, name, params, X.iloc[1:], None if y is None else y.iloc[1:])


@every
def test_it_takes_weights_as_it_says(task, name):
    use_case = a_use_case(task, name)
    (space,) = use_case.train.candidates
    X, y, group = some_data(use_case)
    X = X.assign(x=0.0, z=np.random.default_rng(5).normal(size=ROWS), colour="red")
    weights = np.where(group == 1, 9.0, 1.0)
    model = estimators.make(use_case, name, estimators.defaults(space))
    if not ALGORITHMS[name].takes_weights:
        with pytest.raises((TypeError, ValueError), match="sample_weight"):
            model.fit(X, y, estimate__sample_weight=weights)
        return
    model.fit(X, y, estimate__sample_weight=weights)
    if task == "clustering":
        centres = model.named_steps["estimate"].cluster_centers_
        plain = fitted(use_case, X, y).named_steps["estimate"].cluster_centers_
        assert not np.allclose(centres, plain)
    else:  # nothing tells the groups apart: the mean score follows the weights, half to 0.9
        scale = 1.0 if task == "classification" else 100.0
        plain = score_rows(fitted(use_case, X, y), X, use_case).mean() / scale
        assert 0.4 < plain < 0.6
        assert score_rows(model, X, use_case).mean() / scale > plain + 0.1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_defaults_and_suggestions_are_within_the_ranges(name):
    space = ALGORITHMS[name](estimator=name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    tried = [
        estimators.defaults(space),
        *(estimators.suggest(study.ask(), space) for _ in range(30)),
    ]
    for params in tried:
        assert params.keys() == space.space.keys()
        for key, declared in space.space.items():
            if not isinstance(declared, Span):
                assert params[key] == declared
                continue
            assert declared.low <= params[key] <= declared.high
            assert isinstance(params[key], int) == isinstance(declared, WholeSpan)
    if any(isinstance(declared, Span) for declared in space.space.values()):
        assert len({str(params) for params in tried}) > 1


@every
def test_it_runs_in_one_thread(task, name):
    use_case = a_use_case(task, name)
    (space,) = use_case.train.candidates
    model = estimators.make(use_case, name, estimators.defaults(space))
    jobs = {key: value for key, value in model.get_params().items() if key.endswith("n_jobs")}
    assert set(jobs.values()) <= {None, 1}, jobs


def test_the_places_in_simplicity_are_told_apart_within_a_task():
    for task in ("classification", "regression", "clustering"):
        places = [one.simplicity for one in ALGORITHMS.values() if task in one.tasks]
        assert len(places) == len(set(places)), f"two algorithms of {task} have one simplicity"


def test_reading_a_use_case_imports_no_library_of_an_algorithm():
    """Airflow parses Dag files, which load use cases, all the time."""
    code = (
        "import sys; import include.use_cases.schema; "
        "print({'sklearn', 'scipy', 'lightgbm', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_lightgbm_without_the_library_of_the_system_says_what_to_install(monkeypatch):
    class Missing:
        def __getattr__(self, name):
            raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setitem(sys.modules, "lightgbm", Missing())
    with pytest.raises(ConfigError, match=r"libgomp\.so\.1: .*apt-get install libgomp1"):
        estimators.make(a_use_case("regression", "lightgbm"), "lightgbm", {})


def test_of_numbers_only_a_column_that_is_missing_whole_becomes_zero():
    learned = np.array([[np.nan, np.nan], [np.nan, 2.0]])
    found = EmptyColumns().fit(learned).transform(np.array([[5.0, 7.0], [np.nan, np.nan]]))
    np.testing.assert_array_equal(found, [[0.0, 7.0], [0.0, np.nan]])
