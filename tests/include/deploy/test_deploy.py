"""Verdicts on real models in a registry, and what becomes of them."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from include import model_features
from include.deploy.apply import promote, reject
from include.deploy.compare import compare, learned_until
from include.deploy.rule import Verdict
from include.errors import ConfigError, DataContractError
from include.feature.build import build_partition
from include.lake.table import Writer
from include.modelling.estimators import defaults
from include.modelling.fit import fit
from include.modelling.training_set import load_training_set
from include.registry.newest_promotion import noted
from include.registry.package import reference_of, write_package
from include.use_cases.amounts import Amount
from include.use_cases.loader import python_of
from include.use_cases.schema import UseCase
from tests.support.houses import House, make_house
from tests.support.lakes import fill, publish
from tests.support.packages import TINY, tiny_rows, tiny_use_case
from tests.support.registries import ledger_of, make_champion


@pytest.fixture
def house(tmp_path: Path) -> House:
    return make_house(tmp_path)


def _register(
    house: House,
    name: str,
    columns=None,
    as_of="2024-02",
    params=None,
    learned_from=None,
    tags=None,
    **more_facts,
) -> str:
    """Register a model of today's rows."""
    changes = {} if columns is None else {"features": {"inputs": columns, "numeric": columns}}
    use_case = tiny_use_case(house.use_case.task, **changes)
    training = load_training_set(house.use_case, house.lake, as_of)
    space = use_case.train.candidates[0]
    params = params or defaults(space)
    seen = training.train_X[use_case.features.columns]
    model = fit(use_case, space.estimator, params, seen, training.train_y)
    run_id = house.registry.run("tiny", name, name, {})
    metric = use_case.train.metric
    facts = {
        "as_of": as_of,
        "candidate": space.estimator,
        "params": params,
        "metrics": {metric: 0.8},
        "baselines": {"dummy": {metric: 0.5}, "linear": {metric: 0.7}},
        "partitions": training.partitions,
        "holdout_partition": training.holdout_partition,
        "holdout_partitions": training.holdout_partitions,
        "learned_from": learned_from or training.learned_from,
        "inputs": [{"table": read.table, "version": read.version} for read in training.inputs],
        **more_facts,
    }
    folder = house.work / name
    write_package(
        folder,
        estimator=model,
        use_case=use_case,
        python=python_of(use_case),
        example={},
        reference=reference_of(model, training.holdout_X, use_case),
        facts=facts,
        run_id=run_id,
        signing_key=house.registry.signing_key,
    )
    about = {
        "as_of": as_of,
        "holdout_partition": training.holdout_partition,
        "holdout_from": training.holdout_partitions[0],
        "known_up_to": training.holdout_partition,
    }
    return house.registry.register("tiny", run_id, folder, {**about, **(tags or {})})


BAD = {"C": 1e-5}


def _champion(house: House) -> str | None:
    current = ledger_of(house.registry, house.lake).current()
    return current.version if current else None


def _compare(house: House, version: str, use_case=None) -> Verdict:
    return compare(
        use_case or house.use_case, version, _champion(house), house.lake, house.registry
    )


def _apply(house: House, version: str, verdict: Verdict, run_id: str | None = None) -> str | None:
    ledger = ledger_of(house.registry, house.lake)
    models = (house.use_case, version, asdict(verdict), house.registry, ledger)
    if verdict.promote:
        return promote(*models, who="ann", run_id=run_id or f"deploy {version}")
    return reject(*models)


def _deploy(house: House, version: str):
    verdict = _compare(house, version)
    return verdict, _apply(house, version, verdict)


def _state(house: House, version: str):
    aliases = [
        house.registry.version_of("tiny", name) for name in ("challenger", "champion", "previous")
    ]
    return aliases, house.registry.details("tiny", version)["tags"]


@pytest.mark.parametrize("task", ["classification", "regression", "clustering"])
def test_the_first_challenger_becomes_champion_and_deploying_again_changes_nothing(tmp_path, task):
    house = make_house(tmp_path, task)
    version = _register(house, "first")

    verdict, champion = _deploy(house, version)
    json.dumps(asdict(verdict), allow_nan=False)
    assert (verdict.promote, champion) == (True, version)
    before = _state(house, version)
    assert before[0] == [None, version, None]

    again, champion = _deploy(house, version)
    assert (again.promote, champion) == (False, version)
    assert again.reasons == [f"version {version} is champion already: nothing to do"]
    assert _state(house, version) == before


def test_a_worse_challenger_is_rejected_with_reasons_and_again(house):
    good, bad = _register(house, "good"), _register(house, "bad", params=BAD)
    _deploy(house, good)

    verdict, champion = _deploy(house, bad)

    assert (verdict.promote, champion) == (False, good)
    assert verdict.challenger < verdict.champion
    assert verdict.look == 2, "the champion was judged on this holdout"
    aliases, tags = _state(house, bad)
    assert aliases == [None, good, None]
    assert tags["verdict"] == "rejected"
    assert tags["reasons"] == "; ".join(verdict.reasons)
    assert _deploy(house, bad)[0] == verdict
    assert _state(house, bad) == (aliases, tags)


def test_a_better_challenger_takes_over_and_the_champion_is_kept_as_previous(house):
    bad, good = _register(house, "bad", columns=["z"]), _register(house, "good")
    make_champion(house.registry, house.lake, bad)

    verdict, champion = _deploy(house, good)

    assert (verdict.promote, champion, verdict.grounds) == (True, good, "better")
    assert [reason.split(":")[0] for reason in verdict.reasons[:2]] == [
        "configuration",
        "freshness",
    ]
    assert _state(house, good)[0] == [None, good, bad]


def test_the_same_configuration_of_the_same_data_is_nothing_to_compare(house):
    one, two = _register(house, "one"), _register(house, "two")
    _deploy(house, one)
    verdict = _compare(house, two)
    assert not verdict.promote
    assert verdict.reasons[0].startswith(f"freshness: there is nothing to compare, champion {one}")


def test_a_refresh_of_the_same_configuration_takes_over_without_being_better(house):
    old = _register(house, "old")
    _deploy(house, old)
    fill(house.lake, house.use_case, "2024-03")
    new = _register(house, "new", as_of="2024-03")
    wide = house.use_case.deploy.model_copy(update={"margin": Amount.of("50%")})

    verdict = _compare(house, new, house.use_case.model_copy(update={"deploy": wide}))

    assert (verdict.promote, verdict.grounds, verdict.look) == (True, "refresh", 1)
    assert verdict.confidence_low < 0.01
    assert verdict.reasons[1] == (
        "refresh: the challenger knows newer data, with the same configuration"
    )


def test_corrected_outcomes_are_newer_data_and_a_new_table_version_alone_is_not(house):
    old = _register(house, "old")
    _deploy(house, old)
    fill(house.lake, house.use_case, "2024-03")
    again = _register(house, "again")
    assert "knows no newer data" in _compare(house, again).reasons[0]

    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77))
    corrected = _register(house, "corrected")

    assert _compare(house, corrected).reasons[0].startswith("freshness: roc_auc ")


def test_corrections_are_newer_also_where_the_champion_was_fitted_again_after_the_challenger(house):
    evaluated = _register(house, "evaluated")
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77))
    corrected = _register(house, "corrected")
    # Of what `evaluated` knew, not of the corrections: here like a model that was not refitted.
    before = house.registry.load("tiny", evaluated).facts["inputs"]
    refit = _register(
        house,
        "refit",
        tags={"refit_of": evaluated},
        evaluated_version=evaluated,
        inputs=before,
    )
    make_champion(house.registry, house.lake, refit)

    assert _compare(house, corrected).reasons[0].startswith("freshness: roc_auc ")


def test_a_champion_that_has_learned_the_holdout_is_compared_by_its_configuration(house):
    learned = ["2024-01", "2024-02"]
    champion = _register(house, "champion", params=BAD, learned_from=learned)
    make_champion(house.registry, house.lake, champion)

    verdict = _compare(house, _register(house, "challenger"))

    assert [reason.split(":")[0] for reason in verdict.reasons[:1]] == ["configuration"]
    assert not [reason for reason in verdict.reasons if reason.startswith("freshness")]
    same = _compare(house, _register(house, "same", params=BAD))
    assert "nothing to compare" in same.reasons[0]


def test_a_better_configuration_that_knows_older_data_than_the_champion_is_not_sure_to_be_better(
    house,
):
    """Its refit would not know what the champion knows, and there are no rows to see the price."""
    for month in ("2024-03", "2024-04"):
        fill(house.lake, house.use_case, month)
    champion = _register(house, "champion", as_of="2024-04", params=BAD)
    make_champion(house.registry, house.lake, champion)

    verdict = _compare(house, _register(house, "older", as_of="2024-02"))

    assert not verdict.promote
    assert "surely better" in verdict.reasons[0]
    assert verdict.reasons[1].startswith(
        f"freshness: champion {champion} knows newer data than the challenger"
    )


def test_a_champion_fitted_again_stands_for_its_version(house):
    evaluated = _register(house, "evaluated")
    refit = _register(house, "refit", tags={"refit_of": evaluated}, evaluated_version=evaluated)
    make_champion(house.registry, house.lake, refit)

    verdict = _compare(house, evaluated)

    assert not verdict.promote
    assert verdict.reasons == [
        f"version {evaluated} is champion already, fitted again as {refit}: nothing to do"
    ]
    assert (verdict.challenger, verdict.effect) == (0.8, pytest.approx(0.3))


def test_a_tag_cannot_make_another_model_the_one_that_serves_already(house):
    bad = _register(house, "bad", params=BAD)
    make_champion(house.registry, house.lake, bad)
    challenger = _register(house, "good")
    house.registry.client.set_model_version_tag("tiny", bad, "refit_of", challenger)

    assert _compare(house, challenger).promote


def test_a_refit_that_was_registered_once_more_as_a_challenger_is_not_judged(house):
    evaluated = _register(house, "evaluated")
    again = _register(house, "refit", evaluated_version=evaluated)  # without the tag

    with pytest.raises(DataContractError, match=f"it is the refit of version {evaluated}"):
        _compare(house, again)


def test_what_a_model_has_learned_ends_before_its_holdout_unless_it_says_more():
    facts = {"partitions": ["a", "b", "c", "d"]}
    assert learned_until(facts) == "c"
    assert learned_until({**facts, "holdout_partitions": ["c", "d"]}) == "b"
    assert learned_until({**facts, "learned_from": ["b", "c", "d"]}) == "d"


def test_the_holdout_is_that_of_the_lake_the_challenger_was_trained_on(house):
    version = _register(house, "first")
    before = _compare(house, version)
    fill(house.lake, house.use_case, "2024-02", tiny_rows(month="2024-02", seed=9, shift=5.0))
    fill(house.lake, house.use_case, "2024-03")
    assert _compare(house, version) == before


def test_a_champion_of_columns_that_are_gone_is_compared_by_the_dummy(house):
    old = _register(house, "old")
    _deploy(house, old)
    kept = {name: kind for name, kind in TINY["ingest"]["columns"].items() if name != "z"}
    use_case = tiny_use_case(
        ingest={**TINY["ingest"], "columns": kept}, features={"inputs": ["x"], "numeric": ["x"]}
    )
    house.use_case = use_case
    _fill_again(house, use_case)
    new = _register(house, "new", columns=["x"])

    verdict = _compare(house, new, use_case)

    assert verdict.champion is None
    assert verdict.champion_version == old
    assert verdict.reasons[0].startswith(
        f"champion {old} cannot score these rows, so the challenger is judged as if nothing "
        f"served: tiny: features of 2024-02 cannot be built as model version {old} needs them: "
    )
    assert "were published without ['z']" in verdict.reasons[0]


def test_a_champion_whose_features_the_use_case_has_no_more_is_compared_by_its_own(house):
    """They are built from rows that are still there."""
    old = _register(house, "old")
    before, _ = _deploy(house, old)
    use_case = tiny_use_case(features={"inputs": ["x"], "numeric": ["x"]})
    house.use_case = use_case
    _fill_again(house, use_case)
    new = _register(house, "new", columns=["x"])

    verdict = _compare(house, new, use_case)

    assert verdict.champion == before.challenger
    assert [reason.split(":")[0] for reason in verdict.reasons[:2]] == [
        "configuration",
        "freshness",
    ]


def _fill_again(house: House, use_case: UseCase) -> None:
    """Make the same months anew by another definition."""
    for stage in ("clean", "features"):
        shutil.rmtree(Path(house.lake.uri) / "tiny" / stage)  # they may have other columns
    for month in ("2024-01", "2024-02"):
        rows = tiny_rows(month=month, seed=int(month[-2:]))
        publish(house.lake, use_case, "clean", month, rows, dict(use_case.ingest.columns))
        build_partition(use_case, month, house.lake, Writer("again", 1, 1, "test"))


TWICE = "def derive(frame):\n    return frame.assign(z=frame['x'] * 2)\n"
NOISE_ONLY = "def derive(frame):\n    return frame.assign(x=0.0, z=frame['x'] * 0.1)\n"


@pytest.fixture
def features_py(tmp_path, monkeypatch):
    """Give a function that writes the working tree's `features.py`."""
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "use_cases"))
    path = tmp_path / "use_cases" / "tiny" / "features.py"
    path.parent.mkdir(parents=True)
    return path.write_text


def test_an_edited_features_py_changes_nothing_in_the_champions_figures(house, features_py):
    features_py(TWICE)
    _fill_again(house, house.use_case)
    old = _register(house, "old")
    before, _ = _deploy(house, old)
    features_py(NOISE_ONLY)
    _fill_again(house, house.use_case)  # the table has the edited definition
    new = _register(house, "new")

    verdict = _compare(house, new)

    assert verdict.champion == before.challenger
    assert verdict.challenger != before.challenger, "the challenger was trained with the edit"
    assert verdict.champion_version == old
    features_py("def derive(frame):\n    raise SystemExit\n")
    assert _compare(house, new) == verdict, "neither model looks at the working tree"


def test_where_nothing_was_edited_the_gate_builds_nothing(house, monkeypatch):
    old, new = _register(house, "old"), _register(house, "new", params=BAD)
    _deploy(house, old)
    monkeypatch.setattr(model_features, "build_features", _dies)
    assert _compare(house, new).champion is not None


# Promoting and rejecting, in the ledger


@pytest.fixture
def two(house: House) -> tuple[House, str, str]:
    """Give a house with two versions of one model, `1` and `2`; nothing serves."""
    return house, _register(house, "one"), _register(house, "two")


def _verdict(promotes: bool, champion: str | None, reason: str = "said so") -> Verdict:
    return Verdict(
        promote=promotes,
        reasons=[reason],
        metric="roc_auc",
        challenger=0.9,
        champion=None if champion is None else 0.8,
        dummy=0.5,
        effect=0.1,
        confidence_low=0.05,
        rows=400,
        holdout_partition="2024-02",
        champion_version=champion,
    )


def test_a_promotion_is_written_down_with_the_verdict_as_evidence(two):
    house, first, second = two
    _apply(house, first, _verdict(True, None))
    assert _apply(house, second, _verdict(True, first, "better by 0.1"), "run-9") == second

    entry = ledger_of(house.registry, house.lake).current()
    tags = house.registry.details("tiny", second)["tags"]
    assert (entry.version, entry.previous, entry.number) == (second, first, 2)
    assert (entry.who, entry.why, entry.run_id) == ("ann", "better by 0.1", "run-9")
    assert (entry.as_of, entry.known_up_to) == ("2024-02", "2024-02")
    assert entry.package_sha256 == tags["package_sha256"]
    evidence = asdict(_verdict(True, first))
    del evidence["reasons"]  # they are `why`
    assert json.loads(entry.evidence) == evidence


def test_a_promotion_is_written_from_the_signed_package_and_not_from_tags(two):
    house, first, _ = two
    tags = dict(house.registry.details("tiny", first)["tags"])
    forged = {"known_up_to": "1999-01", "as_of": "1999-01", "package_sha256": "0", "refit_of": "7"}
    for name, value in forged.items():
        house.registry.client.set_model_version_tag("tiny", first, name, value)

    _apply(house, first, _verdict(True, None))

    entry = ledger_of(house.registry, house.lake).current()
    assert (entry.as_of, entry.known_up_to) == ("2024-02", "2024-02")
    assert (entry.package_sha256, entry.evaluated_version) == (tags["package_sha256"], first)


def test_each_promotion_leaves_its_number_in_mlflow(two):
    house, first, second = two
    for number, (version, before) in enumerate([(first, None), (second, first)], start=1):
        _apply(house, version, _verdict(True, before))
        assert noted(house.registry, "tiny") == number


def test_a_verdict_against_another_champion_than_serves_is_refused(two):
    """Two runs compared with the same champion: the slower one must compare again."""
    house, first, second = two
    _apply(house, first, _verdict(True, None))
    third = _register(house, "three")
    _apply(house, second, _verdict(True, first))

    with pytest.raises(DataContractError, match=r"judged against champion 1, but 2 serves now"):
        _apply(house, third, _verdict(True, first))
    assert _state(house, third)[0] == [third, second, first]
    assert house.registry.judged("tiny", third) is None


def test_a_verdict_of_no_cannot_promote(two):
    house, first, _ = two
    verdict = asdict(_verdict(False, None))
    ledger = ledger_of(house.registry, house.lake)
    with pytest.raises(ConfigError, match="the verdict on version 1 is not to promote it"):
        promote(house.use_case, first, verdict, house.registry, ledger, who="ann", run_id="run")
    assert ledger.current() is None


def test_a_run_that_died_between_ledger_and_registry_is_done_to_its_end(two, monkeypatch):
    house, first, second = two
    _apply(house, first, _verdict(True, None))
    with monkeypatch.context() as patch:
        patch.setattr(house.registry, "follow", _dies)
        with pytest.raises(KeyboardInterrupt):
            _apply(house, second, _verdict(True, first))
    assert house.registry.version_of("tiny", "champion") == first
    entries = ledger_of(house.registry, house.lake).entries()

    assert _apply(house, second, _verdict(True, first)) == second

    assert _state(house, second)[0] == [None, second, first]
    assert ledger_of(house.registry, house.lake).entries() == entries


def _dies(*_args, **_kwargs):
    raise KeyboardInterrupt


def test_a_new_run_after_one_that_died_there_finds_a_champion_and_puts_the_registry_right(
    two, monkeypatch
):
    """Else the version would count as not judged, and be sent to the gate for ever."""
    house, _, second = two
    with monkeypatch.context() as patch:
        patch.setattr(house.registry, "follow", _dies)
        with pytest.raises(KeyboardInterrupt):
            _apply(house, second, _verdict(True, None))
    assert house.registry.judged("tiny", second) is None

    verdict, champion = _deploy(house, second)

    assert (verdict.promote, champion) == (False, second)
    aliases, tags = _state(house, second)
    assert aliases == [None, second, None]
    assert (tags["verdict"], tags["reasons"]) == ("promoted", "said so")


def test_rejecting_before_there_is_a_champion_leaves_none(two):
    house, first, second = two
    assert _apply(house, second, _verdict(False, None, "no better than the dummy")) is None
    assert _state(house, second)[0] == [None, None, None]
    assert house.registry.judged("tiny", second) == "rejected"
    assert house.registry.judged("tiny", first) is None


def test_the_champion_compared_with_is_the_one_named_and_not_the_alias(two):
    """Aliases may lag behind the ledger, or have been moved by somebody."""
    house, first, second = two
    make_champion(house.registry, house.lake, first)
    bad = _register(house, "bad", params=BAD)
    house.registry.client.set_registered_model_alias("tiny", "champion", bad)

    verdict = compare(house.use_case, second, first, house.lake, house.registry)

    assert verdict.champion_version == first
    assert "nothing to compare, champion 1 has the same" in verdict.reasons[0]
    assert not verdict.promote
