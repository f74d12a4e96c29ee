import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.lake.table import Lake
from include.registry.client import Registry
from tests.support.mlflow_server import LOGIN, free_port, running
from tests.support.packages import make_package
from tests.support.registries import ledger_of, local_registry, make_champion


def _registered(
    registry: Registry,
    where: Path,
    request: str = "one",
    seed: int = 0,
    as_of: str = "2024-01",
    **tags: str,
) -> str:
    """Train, sign with the registry's key and register; gives the version."""
    run_id = registry.run("tiny", request, "train", {})
    shutil.copytree(registry.signing_key.parent, where / request / "keys")
    made = make_package(where / request, run_id=run_id, seed=seed)
    tags = {"as_of": as_of, "known_up_to": as_of, **tags}
    return registry.register("tiny", run_id, made.folder, tags)


def _aliases(registry: Registry) -> dict[str, str | None]:
    return {
        name: registry.version_of("tiny", name) for name in ("challenger", "champion", "previous")
    }


def test_a_request_finds_its_run_again(registry):
    run_id = registry.run("tiny", "train 7", "train", {"flywheel.phase": "train_tune"})

    assert registry.run("tiny", "train 7", "train", {}) == run_id
    assert registry.run("tiny", "train 8", "train", {}) != run_id
    assert registry.find_run("tiny", "train 9") is None
    tags = registry.client.get_run(run_id).data.tags
    assert tags["flywheel.phase"] == "train_tune"
    assert tags["flywheel.use_case"] == "tiny"


def test_a_request_that_would_break_the_filter_is_refused(registry):
    with pytest.raises(ConfigError, match="must hold no quote"):
        registry.run("tiny", "x' or '1'='1", "train", {})


def test_an_experiment_is_made_once(registry):
    found = registry.experiment("tiny")
    assert registry.experiment("tiny") == found
    assert registry.client.get_experiment(found).name == "tiny"


def test_everything_of_a_run_is_logged_at_once(registry):
    run_id = registry.run("tiny", "log", "log", {})
    registry.log(run_id, params={"C": 1.5}, metrics={"roc_auc": 0.7}, tags={"rows": 3})

    data = registry.client.get_run(run_id).data
    assert (data.params, data.metrics, data.tags["rows"]) == ({"C": "1.5"}, {"roc_auc": 0.7}, "3")


def test_a_registered_package_is_the_challenger_and_comes_back_whole(registry, tmp_path):
    version = _registered(registry, tmp_path)

    assert _aliases(registry) == {"challenger": version, "champion": None, "previous": None}
    model = registry.load("tiny", version)
    assert model.version == version
    assert model.facts["candidate"] == "logistic_regression"
    details = registry.details("tiny", version)
    assert details["tags"]["as_of"] == "2024-01"
    assert len(details["tags"]["package_sha256"]) == 64


def test_a_run_has_one_version_however_often_it_is_registered(registry, tmp_path):
    version = _registered(registry, tmp_path)
    folder, run_id = tmp_path / "one" / "package", registry.details("tiny", version)["run_id"]

    assert registry.register("tiny", run_id, folder, {}) == version
    assert registry.details("tiny", version)["tags"]["as_of"] == "2024-01"


def test_a_judged_version_does_not_become_challenger_again(registry, tmp_path):
    version = _registered(registry, tmp_path)
    registry.reject("tiny", version, ["not better", "worse in slice colour=red"])

    run_id = registry.details("tiny", version)["run_id"]
    registry.register("tiny", run_id, tmp_path / "one" / "package", {})

    assert _aliases(registry)["challenger"] is None
    tags = registry.details("tiny", version)["tags"]
    assert (tags["verdict"], tags["reasons"]) == (
        "rejected",
        "not better; worse in slice colour=red",
    )


def test_the_aliases_follow_the_ledger_and_following_again_changes_nothing(
    registry, lake, tmp_path
):
    first = _registered(registry, tmp_path, "one")
    make_champion(registry, lake, first)
    assert _aliases(registry) == {"challenger": None, "champion": first, "previous": None}

    second = _registered(registry, tmp_path, "two")
    promotion = make_champion(registry, lake, second)
    for _ in range(2):
        assert _aliases(registry) == {"challenger": None, "champion": second, "previous": first}
        tags = registry.details("tiny", second)["tags"]
        assert (tags["verdict"], tags["reasons"]) == ("promoted", "better")
        registry.follow("tiny", promotion)


def test_aliases_that_are_right_are_not_written_again(registry, lake, tmp_path, monkeypatch):
    promotion = make_champion(registry, lake, _registered(registry, tmp_path))
    for write in (
        "set_registered_model_alias",
        "delete_registered_model_alias",
        "set_model_version_tag",
    ):
        monkeypatch.setattr(registry.client._client, write, _must_not_be_called)

    registry.follow("tiny", promotion)


def _must_not_be_called(*args):
    raise AssertionError(f"nothing is to be written, got {args}")


def test_promoting_an_older_version_leaves_a_newer_challenger_alone(registry, lake, tmp_path):
    first, second = (_registered(registry, tmp_path, name) for name in ("one", "two"))
    make_champion(registry, lake, first)
    assert _aliases(registry) == {"challenger": second, "champion": first, "previous": None}
    assert (registry.judged("tiny", first), registry.judged("tiny", second)) == ("promoted", None)


def test_a_rejected_version_that_is_promoted_all_the_same_counts_as_promoted(
    registry, lake, tmp_path
):
    version = _registered(registry, tmp_path)
    registry.reject("tiny", version, ["not better"])
    assert registry.judged("tiny", version) == "rejected"

    make_champion(registry, lake, version)

    assert registry.judged("tiny", version) == "promoted"
    assert registry.details("tiny", version)["tags"]["reasons"] == "better"


@pytest.mark.parametrize(
    "dies_at",
    [
        "set_registered_model_alias champion",
        "set_registered_model_alias previous",
        "set_model_version_tag verdict",
        "set_model_version_tag reasons",
        "delete_registered_model_alias challenger",
    ],
)
def test_following_that_died_halfway_is_done_to_its_end_next_time(
    registry, lake, tmp_path, monkeypatch, dies_at
):
    first, second = (_registered(registry, tmp_path, name) for name in ("one", "two"))
    make_champion(registry, lake, first)
    client, (method, about) = registry.client._client, dies_at.split()
    real = getattr(client, method)

    def dies(*args):
        if about in args:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(client, method, dies)
    with pytest.raises(KeyboardInterrupt):
        make_champion(registry, lake, second)
    monkeypatch.undo()

    promotion = ledger_of(registry, lake).current()
    assert promotion.version == second, "the ledger decides, not how far the aliases came"
    registry.follow("tiny", promotion)
    assert _aliases(registry) == {"challenger": None, "champion": second, "previous": first}
    assert registry.details("tiny", second)["tags"]["verdict"] == "promoted"


def test_aliases_that_somebody_moved_are_repaired_from_the_ledger(registry, lake, tmp_path):
    first, second = (_registered(registry, tmp_path, name) for name in ("one", "two"))
    make_champion(registry, lake, first)
    promotion = make_champion(registry, lake, second)
    registry.client.set_registered_model_alias("tiny", "champion", first)
    registry.client.delete_registered_model_alias("tiny", "previous")

    registry.follow("tiny", promotion)

    assert _aliases(registry) == {"challenger": None, "champion": second, "previous": first}


def test_a_first_promotion_keeps_a_previous_that_it_does_not_know(registry, lake, tmp_path):
    """A ledger that begins with a registry that has had champions leaves what it cannot tell."""
    first, second = (_registered(registry, tmp_path, name) for name in ("one", "two"))
    registry.client.set_registered_model_alias("tiny", "previous", first)
    promotion = make_champion(registry, lake, second)
    assert promotion.previous is None
    assert _aliases(registry)["previous"] == first


def test_a_promotion_of_a_version_that_is_gone_is_refused(registry, lake, tmp_path):
    promotion = make_champion(registry, lake, _registered(registry, tmp_path))
    with pytest.raises(MlflowException, match="99"):
        registry.follow("tiny", replace(promotion, version="99"))


def test_a_version_is_judged_when_it_was_promoted_or_rejected(registry, lake, tmp_path):
    first, second, third = (_registered(registry, tmp_path, name) for name in ("a", "b", "c"))
    make_champion(registry, lake, first)
    registry.reject("tiny", second, ["not better"])
    verdicts = [registry.judged("tiny", version) for version in (first, second, third)]
    assert verdicts == ["promoted", "rejected", None]


def test_rejecting_an_older_version_leaves_a_newer_challenger_alone(registry, tmp_path):
    first, second = (_registered(registry, tmp_path, name) for name in ("one", "two"))
    registry.reject("tiny", first, ["not better"])
    assert _aliases(registry)["challenger"] == second


def test_the_newest_version_as_of_a_partition_goes_by_number(registry, tmp_path):
    """Ten versions: '10' is newer than '9', though smaller as text."""
    made = _registered(registry, tmp_path)
    source = registry.client.get_model_version("tiny", made).source
    for number in range(2, 11):
        tags = {"as_of": "2024-02" if number == 3 else "2024-01"}
        registry.client.create_model_version("tiny", source, tags=tags)

    assert registry.newest_as_of("tiny", "2024-01") == "10"
    assert registry.newest_as_of("tiny", "2024-02") == "3"
    assert registry.newest_as_of("tiny", "2024-03") is None
    assert registry.newest_as_of("other", "2024-01") is None
    assert registry.versions("tiny") == [str(number) for number in range(1, 11)]
    assert (registry.newest("tiny"), registry.newest("other")) == ("10", None)


def test_a_refit_is_no_challenger_and_not_for_the_gate(registry, lake, tmp_path):
    judged = _registered(registry, tmp_path)
    refit = _registered(registry, tmp_path, "refit", refit_of=judged)

    assert _aliases(registry)["challenger"] == judged
    assert registry.newest_as_of("tiny", "2024-01") == registry.newest("tiny") == judged
    assert (registry.refit_of("tiny", judged), registry.refit_of("tiny", refit)) == (refit, None)
    assert registry.versions("tiny") == [judged, refit]


def test_promoting_a_refit_settles_what_was_judged_too(registry, lake, tmp_path):
    judged = _registered(registry, tmp_path)
    refit = _registered(registry, tmp_path, "refit", refit_of=judged)

    promotion = make_champion(registry, lake, refit)

    assert (promotion.version, promotion.evaluated_version) == (refit, judged)
    assert [registry.judged("tiny", each) for each in (judged, refit)] == ["promoted"] * 2
    assert _aliases(registry) == {"challenger": None, "champion": refit, "previous": None}


def _training(registry: Registry, request: str, as_of: str, status: str | None = None) -> str:
    tags = {"flywheel.training": "yes", "flywheel.as_of": as_of}
    run_id = registry.run("tiny", request, request, tags)
    if status:
        registry.client.set_terminated(run_id, status)
    time.sleep(0.002)  # MLflow orders runs by milliseconds
    return run_id


def test_trainings_tell_how_the_newest_of_each_partition_stands(registry):
    _training(registry, "a", "2024-01", "FINISHED")
    _training(registry, "b", "2024-02", "FAILED")
    _training(registry, "c", "2024-02", "FINISHED")
    _training(registry, "d", "2024-03", "FINISHED")
    _training(registry, "e", "2024-03")
    registry.run("tiny", "trial", "a trial is none", {"flywheel.as_of": "2024-04"})

    assert registry.trainings("tiny") == {
        "2024-01": "FINISHED",
        "2024-02": "FINISHED",
        "2024-03": "RUNNING",
    }


def test_of_very_many_trainings_the_newest_are_told(registry, monkeypatch):
    """MLflow gives one page: what is on it must be the newest."""
    for day in (1, 2, 3):
        _training(registry, f"train {day}", f"2024-0{day}", "FINISHED")
    real = registry.client._client.search_runs

    def two_a_page(*args, **kwargs):
        return real(*args, **{**kwargs, "max_results": 2})

    monkeypatch.setattr(registry.client._client, "search_runs", two_a_page)
    assert sorted(registry.trainings("tiny")) == ["2024-02", "2024-03"]


def test_a_fetched_package_is_not_fetched_again(registry, tmp_path):
    version = _registered(registry, tmp_path)
    folder = registry.fetch("tiny", version)

    offline = Registry(
        f"http://127.0.0.1:{free_port()}", verify_key=registry.verify_key, cache=folder.parents[1]
    )

    assert offline.load("tiny", version).use_case.name == "tiny"
    assert sorted(path.name for path in folder.parent.iterdir()) == [version]


def _store(registry: Registry, version: str) -> Path:
    """Where MLflow keeps the package."""
    run_id = registry.details("tiny", version)["run_id"]
    return Path(registry.client.get_run(run_id).info.artifact_uri) / "package"


def test_a_package_altered_in_the_store_never_gets_into_the_cache(registry, tmp_path):
    version = _registered(registry, tmp_path)
    (_store(registry, version) / "model.skops").write_bytes(b"evil")

    with pytest.raises(DataContractError, match=r"altered: \['model.skops'\]"):
        registry.load("tiny", version)
    assert list((tmp_path / "registry" / "cache" / "tiny").iterdir()) == []


def test_a_package_altered_in_the_cache_is_refused_and_fetched_again_next_time(registry, tmp_path):
    version = _registered(registry, tmp_path)
    (registry.fetch("tiny", version) / "flywheel" / "facts.json").write_text("{}")

    with pytest.raises(DataContractError, match=r"altered: \['flywheel/facts.json'\]"):
        registry.load("tiny", version)
    assert registry.load("tiny", version).facts["candidate"] == "logistic_regression"


def test_an_older_package_with_a_good_signature_cannot_stand_in_for_a_newer_one(registry, tmp_path):
    old, new = (
        _registered(registry, tmp_path, "one"),
        _registered(registry, tmp_path, "two", seed=1),
    )
    shutil.rmtree(_store(registry, new))
    shutil.copytree(_store(registry, old), _store(registry, new))

    with pytest.raises(DataContractError, match="its package must be signed for use case and run"):
        registry.load("tiny", new)


def test_a_version_that_is_not_there_is_named(registry, tmp_path):
    _registered(registry, tmp_path)
    with pytest.raises(DataContractError, match="tiny version 99: no such version at sqlite"):
        registry.load("tiny", "99")


def test_no_model_and_no_alias_are_no_version(registry, tmp_path):
    assert registry.version_of("tiny", "champion") is None  # no such model
    _registered(registry, tmp_path)
    assert registry.version_of("tiny", "champion") is None  # no such alias


def test_without_keys_it_says_which_setting_is_missing(tmp_path):
    bare = Registry(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(ConfigError, match=r"signing_key is needed.*FLYWHEEL_SIGNING_KEY"):
        _ = bare.signing_key
    with pytest.raises(ConfigError, match=r"cache is needed"):
        bare.fetch("tiny", "1")


def test_mlflow_down_is_told_at_once_with_its_address():
    address = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(
        ServiceUnavailable, match=rf"MLflow at {address} must answer .*MLFLOW_TRACKING_URI"
    ):
        Registry(address).version_of("tiny", "champion")
    assert time.monotonic() - started < 5


def test_an_address_with_a_login_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_PASSWORD") as refused:
        Registry("https://ann:s3cret@mlflow.example.com")
    assert "s3cret" not in str(refused.value)


def test_against_a_real_server(tmp_path, monkeypatch):
    """The whole way through HTTP and proxied artifacts, as the stack runs it (about 15 s)."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # is set by the registry, and put back after the test
    keys = local_registry(tmp_path / "keys_only")
    with running(tmp_path / "server") as address:
        registry = Registry(
            address,
            login=LOGIN,
            signing_key=keys.signing_key,
            verify_key=keys.verify_key,
            cache=tmp_path / "cache",
        )
        assert registry.version_of("tiny", "champion") is None
        version = _registered(registry, tmp_path)
        assert _registered(registry, tmp_path, "two") != version
        make_champion(registry, Lake(str(tmp_path / "lake")), version)

        assert _aliases(registry) == {"challenger": "2", "champion": version, "previous": None}
        assert registry.judged("tiny", version) == "promoted"
        assert registry.newest_as_of("tiny", "2024-01") == "2"
        model = registry.load("tiny", version)
        assert model.predict_features(model.reference)["prediction"].isin([0, 1]).all()
        with pytest.raises(DataContractError, match="no such version"):
            registry.details("tiny", "9")
    with pytest.raises(ServiceUnavailable, match=address):
        registry.version_of("tiny", "champion")
