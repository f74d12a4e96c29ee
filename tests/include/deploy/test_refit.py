"""What the gate accepted is fitted again with the holdout, and serves in its place."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.batch_predict.predict import predict_partition
from include.deploy import refit as module
from include.deploy.apply import promote, reject
from include.deploy.compare import compare
from include.deploy.refit import Refit, refit
from include.deploy.refit_checks import Checked
from include.drift_monitor.monitor import monitor_partition
from include.due.wanted import wanted_predictions
from include.errors import DataContractError
from include.housekeeping import lost
from include.lake.table import Writer
from include.modelling.estimators import make
from include.modelling.scoring import score_rows
from include.train_tune import reproduce as reproduction
from include.train_tune.reproduce import reproduce
from tests.support.houses import House, make_house
from tests.support.lakes import fill
from tests.support.packages import tiny_rows
from tests.support.trainings import train


@pytest.fixture
def house(tmp_path) -> House:
    return make_house(tmp_path)


def _train(house: House, as_of: str = "2024-02") -> str:
    linear_only = house.use_case.task == "classification"
    return train(house, as_of, f"run {as_of}", linear_only=linear_only).version


def _refit(house: House, version: str) -> Refit:
    return refit(house.use_case, version, house.lake, house.registry, house.work)


def _deploy(house: House, version: str) -> tuple[dict[str, Any], str | None]:
    """Deploy as the Dag does."""
    current = house.ledger.current()
    champion = current.version if current else None
    verdict = asdict(compare(house.use_case, version, champion, house.lake, house.registry))
    serves = version
    if verdict["promote"]:
        done = _refit(house, version)
        assert done.version is not None
        serves, verdict["reasons"] = done.version, [*verdict["reasons"], *done.reasons]
        ran = {"who": "ann", "run_id": f"deploy {version}"}
        models = (house.use_case, serves, verdict, house.registry, house.ledger)
        return verdict, promote(*models, **ran)
    return verdict, reject(house.use_case, version, verdict, house.registry, house.ledger)


@pytest.mark.parametrize("task", ["classification", "regression", "clustering"])
def test_the_refit_is_the_accepted_configuration_on_every_row_that_was_known(tmp_path, task):
    """Fitted here once more, by hand, on both months."""
    house = make_house(tmp_path, task)
    version = _train(house)
    evaluated = house.registry.load("tiny", version)
    # What happens to the lake afterwards changes nothing: the refit reads what was judged.
    fill(house.lake, house.use_case, "2024-02", tiny_rows(month="2024-02", seed=77))

    done = _refit(house, version)

    made = house.registry.load("tiny", done.version)
    months = [tiny_rows(month=month, seed=int(month[-2:])) for month in ("2024-01", "2024-02")]
    table = pd.concat(months, ignore_index=True)
    X = table[house.use_case.features.columns]
    y = None if task == "clustering" else table["outcome"]
    y = y.astype("int64") if task == "classification" else y
    facts = evaluated.facts
    seed = house.use_case.train.tuning.random_state
    by_hand = make(house.use_case, facts["candidate"], facts["params"], seed).fit(X, y)
    scores = [score_rows(each, X, house.use_case) for each in (made.estimator, by_hand)]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-6)
    assert np.abs(score_rows(evaluated.estimator, X, house.use_case) - scores[0]).max() > 1e-6, (
        "another model than the evaluated one"
    )


def test_its_package_says_of_whom_the_figures_are(house):
    version = _train(house)
    evaluated = house.registry.load("tiny", version)

    done = _refit(house, version)

    made, tags = house.registry.load("tiny", done.version), _tags(house, done.version)
    kept = ("metrics", "baselines", "slices", "holdout_rows", "holdout_partition", "as_of")
    for name in (*kept, "partitions", "inputs", "candidate", "params", "folds_mean"):
        assert made.facts[name] == evaluated.facts[name], name
    assert made.facts["evaluated_version"] == version
    assert "evaluated_version" not in evaluated.facts
    assert made.facts["learned_from"] == ["2024-01", "2024-02"]
    assert evaluated.facts["learned_from"] == ["2024-01"]
    assert made.facts["run_id"] != evaluated.facts["run_id"]
    assert (tags["refit_of"], tags["known_up_to"]) == (version, "2024-02")
    assert tags["roc_auc"] == _tags(house, version)["roc_auc"]
    run = house.registry.client.get_run(made.facts["run_id"])
    assert run.info.status == "FINISHED"
    assert house.registry.trainings("tiny") == {"2024-02": "FINISHED"}, "a refit is no training"
    (reason,) = done.reasons
    assert reason == (
        f"refit: what serves is the configuration of version {version}, fitted again on 800 rows "
        "of 2024-01 to 2024-02, the holdout among them; all figures are of version "
        f"{version}, with which it agrees by {made.facts['refit_agreement']:.2f}"
    )
    assert made.facts["refit_agreement"] > 0.9


def _tags(house: House, version: str) -> dict[str, str]:
    return house.registry.details("tiny", version)["tags"]


def test_at_most_max_rows_are_learned_and_the_newest(house):
    """Requests are held against what was learned: the partitions of these rows."""
    train = house.use_case.train.model_copy(update={"max_rows": 1000})
    house.use_case = house.use_case.model_copy(update={"train": train})
    for month in ("2024-03", "2024-04"):
        fill(house.lake, house.use_case, month)

    done = _refit(house, _train(house, "2024-04"))

    facts = house.registry.load("tiny", done.version).facts
    assert facts["learned_from"] == ["2024-02", "2024-03", "2024-04"]
    assert "fitted again on 1000 rows of 2024-02 to 2024-04" in done.reasons[0]


def test_monitoring_compares_with_predictions_for_rows_that_were_not_learned(house):
    """The refit's own would be too sure, and every later month would look like drift."""
    version = _train(house)
    evaluated = house.registry.load("tiny", version)
    made = house.registry.load("tiny", _refit(house, version).version)
    assert made.reference.equals(evaluated.reference)
    own = score_rows(made.estimator, made.reference, house.use_case)
    assert np.abs(own - made.reference["prediction"]).max() > 1e-6


def test_clusters_of_the_reference_are_numbered_as_the_refit_numbers_them(tmp_path):
    house = make_house(tmp_path, "clustering")
    version = _train(house)
    made = house.registry.load("tiny", _refit(house, version).version)
    own = score_rows(made.estimator, made.reference, house.use_case)
    np.testing.assert_array_equal(made.reference["prediction"], own)


def test_a_version_has_one_refit_however_often_it_is_asked_for(house, monkeypatch):
    version = _train(house)
    first = _refit(house, version)
    monkeypatch.setattr(module, "fit", _dies)
    assert _refit(house, version) == first
    assert house.registry.versions("tiny") == [version, first.version]


def _dies(*_args: Any, **_kwargs: Any) -> Any:
    raise KeyboardInterrupt


def test_a_refit_that_died_before_it_was_registered_is_done_again_in_its_run(house, monkeypatch):
    version = _train(house)
    with monkeypatch.context() as patch:
        patch.setattr(house.registry, "register", _dies)
        with pytest.raises(KeyboardInterrupt):
            _refit(house, version)
    begun = house.registry.find_run("tiny", f"refit of version {version}")
    assert house.registry.versions("tiny") == [version]

    done = _refit(house, version)

    assert house.registry.details("tiny", done.version)["run_id"] == begun


def test_a_failed_check_registers_nothing_and_says_why(house, monkeypatch):
    version = _train(house)
    checked = Checked(0.1, ["it ranks otherwise", "surely worse"])
    monkeypatch.setattr(module, "check_refit", lambda *_: checked)

    assert _refit(house, version) == Refit(
        None, ["refit: it ranks otherwise", "refit: surely worse"]
    )
    assert house.registry.versions("tiny") == [version]


def test_a_refit_on_shuffled_labels_does_not_serve(house, monkeypatch):
    """The checks hold with real models too: what was fitted has nothing to do with the rows."""
    rows = house.use_case.deploy.model_copy(update={"resample_by": "rows"})  # all are of one day
    house.use_case = house.use_case.model_copy(update={"deploy": rows})
    version = _train(house)
    real = module.fit

    def shuffled(use_case, candidate, params, X, y, **weights):
        wrong = y.sample(frac=1, random_state=0).set_axis(y.index)
        return real(use_case, candidate, params, X, wrong, **weights)

    monkeypatch.setattr(module, "fit", shuffled)

    done = _refit(house, version)

    assert done.version is None
    assert any("surely worse on the holdout" in reason for reason in done.reasons)


def test_a_tag_does_not_make_another_model_the_refit(house):
    """Who may write into MLflow can set it; the signed package does not say so."""
    version = _train(house)
    fill(house.lake, house.use_case, "2024-03")
    other = _train(house, "2024-03")
    house.registry.client.set_model_version_tag("tiny", other, "refit_of", version)
    with pytest.raises(
        DataContractError, match=r"must say so too, but it names none\. Nothing was"
    ):
        _refit(house, version)


# In the wheel


def test_the_refit_is_promoted_and_both_versions_are_judged(house):
    version = _train(house)
    assert house.registry.version_of("tiny", "challenger") == version

    verdict, champion = _deploy(house, version)

    entry = house.ledger.current()
    assert (entry.version, entry.evaluated_version) == (champion, version)
    assert champion == "2"
    assert (entry.as_of, entry.known_up_to) == ("2024-02", "2024-02")
    assert entry.package_sha256 == _tags(house, champion)["package_sha256"]
    assert entry.why == "; ".join(verdict["reasons"])
    assert house.registry.aliases("tiny") == {"champion": champion}
    for each in (version, champion):
        assert house.registry.judged("tiny", each) == "promoted"
    assert lost._unjudged(house.use_case, house.registry) == {}
    assert house.registry.newest_as_of("tiny", "2024-02") == version, "refits are not judged"


def test_a_run_that_died_after_the_refit_leaves_the_evaluated_version_to_be_judged(house):
    version = _train(house)
    _refit(house, version)
    found = lost._unjudged(house.use_case, house.registry)
    assert found == {"2024-02": f"model version {version} has not been judged"}
    assert house.registry.version_of("tiny", "challenger") == version


def test_judging_what_serves_already_as_its_refit_puts_the_registry_right(house, monkeypatch):
    """The run that promoted it died before the registry knew."""
    version = _train(house)
    with monkeypatch.context() as patch:
        patch.setattr(house.registry, "follow", _dies)
        with pytest.raises(KeyboardInterrupt):
            _deploy(house, version)
    assert house.registry.judged("tiny", version) is None
    said = {"reasons": ["nothing to compare"]}

    serves = reject(house.use_case, version, said, house.registry, house.ledger)

    assert serves == house.ledger.current().version
    assert house.registry.judged("tiny", version) == "promoted"
    assert house.registry.aliases("tiny") == {"champion": serves}


def test_the_refit_scores_what_is_newer_than_all_that_it_learned(house):
    version = _train(house)
    _, champion = _deploy(house, version)
    fill(house.lake, house.use_case, "2024-03", labelled=False)
    known = house.ledger.current().known_up_to

    assert list(wanted_predictions(house.use_case, house.lake, known)) == ["2024-03"]
    writer = Writer("test", 1, 1, "test")
    models = (champion, house.lake, house.registry, writer)
    assert predict_partition(house.use_case, "2024-03", *models).rows == 400
    for month in ("2024-01", "2024-02"):
        with pytest.raises(DataContractError, match=f"version {champion} was trained on {month}"):
            predict_partition(house.use_case, month, *models)
    judged = (version, house.lake, house.registry, writer)
    with pytest.raises(DataContractError, match=f"version {version} was judged by 2024-02"):
        predict_partition(house.use_case, "2024-02", *judged)


def test_later_months_are_held_against_the_judged_versions_holdout(house):
    version = _train(house)
    _, champion = _deploy(house, version)
    fill(house.lake, house.use_case, "2024-03")
    models = (house.lake, house.registry, Writer("test", 1, 1, "test"))
    predict_partition(house.use_case, "2024-03", champion, *models)

    found = monitor_partition(house.use_case, "2024-03", *models, house.work / "reports")

    assert found.model_version == champion
    judged = house.registry.load("tiny", version).facts["metrics"]["roc_auc"]
    assert found.performance_reference == judged
    assert found.verdict == "stable"


@pytest.mark.parametrize("task", ["classification", "clustering"])
def test_a_refit_is_reproduced_from_its_pins(tmp_path, task):
    house = make_house(tmp_path, task)
    version = _refit(house, _train(house)).version
    for month in ("2024-01", "2024-02"):
        fill(house.lake, house.use_case, month, tiny_rows(month=month, seed=77))

    done = reproduce("tiny", version, house.lake, house.registry)

    assert (done.verdict, done.rows, done.rows_differing) == ("identical", 400, 0)
    for values in done.metrics.values():
        assert set(values) == {"stored", "now"}, "the package has another model's metrics"
        assert values["stored"] == values["now"]


def test_reproducing_a_refit_without_its_holdout_gives_another_model(house, monkeypatch):
    """The comparison can fail: these are the rows of the evaluated version."""
    version = _refit(house, _train(house)).version
    monkeypatch.setattr(reproduction, "REFIT", "no such fact")
    assert reproduce("tiny", version, house.lake, house.registry).verdict == "different"
