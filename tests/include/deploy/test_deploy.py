"""Verdicts on scores made by hand, then with real models in a registry."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include import model_features
from include.deploy.apply import promote, reject
from include.deploy.compare import Verdict, compare, decide
from include.errors import ConfigError, DataContractError
from include.feature.build import build_partition
from include.lake.table import Writer
from include.modelling.estimators import defaults, make
from include.modelling.metrics import Judged
from include.modelling.training_set import load_training_set
from include.registry.package import write_package
from include.use_cases.loader import python_of
from include.use_cases.schema import UseCase
from tests.support.houses import House, make_house
from tests.support.lakes import fill, publish
from tests.support.packages import TINY, tiny_rows, tiny_use_case
from tests.support.registries import ledger_of, make_champion

ROWS = 2_000
RNG = np.random.default_rng(0)
Y = (RNG.random(ROWS) < 0.3).astype(float)
COLOUR = np.where(np.arange(ROWS) % 4 == 0, "red", "green")
X = pd.DataFrame({"x": 0.0, "z": 0.0, "colour": COLOUR})
NOISE = RNG.normal(size=ROWS)


def _scores(signal: float) -> np.ndarray:
    """Scores that tell the classes apart the better the stronger the signal."""
    return 1 / (1 + np.exp(-(signal * Y + NOISE)))


def _decide(challenger, champion=None, deploy=None, task="classification"):
    use_case = tiny_use_case(task, deploy={"min_effect": 0.0, **(deploy or {})})
    scores = {"challenger": challenger, "dummy": np.full(ROWS, 0.3)}
    scores |= {} if champion is None else {"champion": champion}
    version = None if champion is None else "7"
    return decide(use_case, Judged(X, Y), scores, "2024-02", version, [])


# The rule


def test_a_clearly_better_challenger_is_promoted_with_its_numbers():
    verdict = _decide(_scores(2.0), _scores(1.0))

    assert verdict.promote
    assert 0 < verdict.confidence_low < verdict.effect
    assert verdict.effect == pytest.approx(verdict.challenger - verdict.champion)
    assert verdict.reasons == [
        f"better: roc_auc {verdict.challenger:.4f} against {verdict.champion:.4f} of the champion "
        f"(version 7), gain {verdict.effect:+.4f}, at least {verdict.confidence_low:+.4f} at 95%"
    ]
    assert (verdict.rows, verdict.champion_version) == (ROWS, "7")


def test_a_worse_challenger_is_not():
    verdict = _decide(_scores(1.0), _scores(2.0))

    assert not verdict.promote
    assert verdict.effect < 0
    assert verdict.reasons[0].startswith(
        f"not surely better: roc_auc {verdict.challenger:.4f} against"
    )
    assert f"{verdict.effect:+.4f} of 0.0000 needed" in verdict.reasons[1]


def test_an_equal_challenger_is_not():
    verdict = _decide(_scores(1.0), _scores(1.0))
    assert (verdict.promote, verdict.effect, verdict.confidence_low) == (False, 0.0, 0.0)


def test_a_gain_that_chance_could_give_is_not_enough():
    """The point estimate is better; resampled, it often is not."""
    champion = _scores(1.0)
    challenger = champion + 0.02 * np.random.default_rng(4).normal(size=ROWS) + 0.002 * Y
    verdict = _decide(challenger, champion)
    assert verdict.effect > 0
    assert verdict.confidence_low <= 0
    assert not verdict.promote
    assert len(verdict.reasons) == 1


def test_a_sure_gain_below_min_effect_is_not_enough():
    sure = _decide(_scores(1.1), _scores(1.0), {"min_effect": 0.0})
    needed = _decide(_scores(1.1), _scores(1.0), {"min_effect": 0.05})

    assert sure.promote
    assert sure.confidence_low > 0
    assert not needed.promote
    assert needed.reasons == [
        f"too small a gain: roc_auc {needed.challenger:.4f} against {needed.champion:.4f} of the "
        f"champion (version 7), {needed.effect:+.4f} of 0.0500 needed"
    ]


def test_more_confidence_asks_for_more():
    low = [
        _decide(_scores(1.2), _scores(1.0), {"confidence": c}).confidence_low for c in (0.8, 0.99)
    ]
    assert low[0] > low[1]


def test_a_slice_that_gets_worse_stops_a_challenger_that_is_better_overall():
    champion = _scores(1.0)
    challenger = np.where(COLOUR == "red", RNG.random(ROWS), _scores(3.0))
    slices = {"columns": ["colour"], "max_drop": 0.05, "min_rows": 100}

    verdict = _decide(challenger, champion, {"slices": slices})

    assert _decide(challenger, champion).promote
    assert not verdict.promote
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("worse in slice colour=red (500 rows): roc_auc 0.")
    assert verdict.reasons[0].endswith("0.0500 allowed")


def test_a_slice_too_small_to_tell_is_left_out():
    challenger = np.where(COLOUR == "red", RNG.random(ROWS), _scores(3.0))
    slices = {"columns": ["colour"], "max_drop": 0.05, "min_rows": 501}
    assert _decide(challenger, _scores(1.0), {"slices": slices}).promote


def test_the_first_model_must_beat_the_dummy():
    good, bad = _decide(_scores(1.0)), _decide(RNG.random(ROWS))

    assert good.promote
    assert good.champion is None
    assert good.effect == pytest.approx(good.challenger - 0.5)
    assert "of the dummy" in good.reasons[0]
    assert not bad.promote


def test_where_less_is_better_a_gain_is_less():
    near, far = Y + 0.1, Y + 0.2
    verdict = _decide(near, far, task="regression")
    assert verdict.promote
    assert verdict.effect == pytest.approx(0.1)
    assert not _decide(far, near, task="regression").promote


def test_a_champion_that_cannot_be_judged_gives_way_to_the_dummy():
    use_case = tiny_use_case("clustering")
    places = RNG.normal(size=(300, 2))
    scores = {
        "challenger": (places[:, 0] > 0).astype(float),
        "dummy": RNG.integers(0, 2, 300).astype(float),
        "champion": np.zeros(300),
    }
    verdict = decide(use_case, Judged(X.head(300), places), scores, "2024-02", "7", [])

    assert verdict.promote
    assert verdict.champion is None
    assert (
        verdict.reasons[0]
        == "silhouette of the champion is not defined here: compared with the dummy"
    )
    json.dumps(asdict(verdict), allow_nan=False)


# With models


@pytest.fixture
def house(tmp_path: Path) -> House:
    return make_house(tmp_path)


def _register(house: House, name: str, noise: float = 0.0, columns=None, as_of="2024-02") -> str:
    """Register a model; `noise` is the share of its training labels that are wrong."""
    changes = {} if columns is None else {"features": {"inputs": columns, "numeric": columns}}
    use_case = tiny_use_case(house.use_case.task, **changes)
    training = load_training_set(house.use_case, house.lake, as_of)
    y = training.train_y
    if y is not None and noise:
        wrong = np.random.default_rng(1).random(len(y)) < noise
        y = y.where(~wrong, 1 - y)
    space = use_case.train.candidates[0]
    model = make(use_case, space.estimator, defaults(space))
    model.fit(training.train_X[use_case.features.columns], y)
    run_id = house.registry.run("tiny", name, name, {})
    facts = {
        "as_of": as_of,
        "partitions": training.partitions,
        "inputs": [{"table": read.table, "version": read.version} for read in training.inputs],
    }
    folder = house.work / name
    write_package(
        folder,
        estimator=model,
        use_case=use_case,
        python=python_of(use_case),
        example={},
        holdout_X=training.holdout_X,
        facts=facts,
        run_id=run_id,
        signing_key=house.registry.signing_key,
    )
    tags = {"as_of": as_of, "holdout_partition": training.holdout_partition}
    return house.registry.register("tiny", run_id, folder, tags)


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
    good, bad = _register(house, "good"), _register(house, "bad", noise=0.48)
    _deploy(house, good)

    verdict, champion = _deploy(house, bad)

    assert (verdict.promote, champion) == (False, good)
    assert verdict.challenger < verdict.champion
    aliases, tags = _state(house, bad)
    assert aliases == [None, good, None]
    assert tags["verdict"] == "rejected"
    assert tags["reasons"] == "; ".join(verdict.reasons)
    assert _deploy(house, bad)[0] == verdict
    assert _state(house, bad) == (aliases, tags)


def test_a_better_challenger_takes_over_and_the_champion_is_kept_as_previous(house):
    bad, good = _register(house, "bad", noise=0.45), _register(house, "good")
    _deploy(house, bad)
    assert house.registry.version_of("tiny", "champion") == bad

    verdict, champion = _deploy(house, good)

    assert (verdict.promote, champion) == (True, good)
    assert _state(house, good)[0] == [None, good, bad]


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
        f"champion (version {old}) cannot score these rows and is replaced by the dummy: tiny: "
        f"features of 2024-02 cannot be built as model version {old} needs them: "
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
    assert verdict.reasons[0].startswith("not surely better")


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
    old, new = _register(house, "old"), _register(house, "new")
    _deploy(house, old)
    monkeypatch.setattr(model_features, "build_features", _dies)
    assert _compare(house, new).champion is not None


def test_a_champion_that_may_have_seen_the_holdout_is_noted(house):
    fill(house.lake, house.use_case, "2024-03")
    later = _register(house, "later", as_of="2024-03")
    _deploy(house, later)
    earlier = _register(house, "earlier", as_of="2024-02")

    verdict = _compare(house, earlier)

    assert verdict.reasons[0] == (
        f"champion (version {later}) was trained as of 2024-03, after the challenger (2024-02): "
        "it may know these rows"
    )


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
    assert (entry.as_of, entry.holdout_partition) == ("2024-02", "2024-02")
    assert entry.package_sha256 == tags["package_sha256"]
    evidence = asdict(_verdict(True, first))
    del evidence["reasons"]  # they are `why`
    assert json.loads(entry.evidence) == evidence


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
    bad = _register(house, "bad", noise=0.48)
    house.registry.client.set_registered_model_alias("tiny", "champion", bad)

    verdict = compare(house.use_case, second, first, house.lake, house.registry)

    assert verdict.champion_version == first
    assert verdict.champion == verdict.challenger, "two models of the same rows"
    assert not verdict.promote
