import shutil
import time
from pathlib import Path

import pytest

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.registry.client import Registry
from tests.support.mlflow_server import LOGIN, free_port, running
from tests.support.packages import make_package
from tests.support.registries import local_registry


def _registered(registry: Registry, where: Path, request: str = "one", seed: int = 0) -> str:
    """Train, sign with the registry's key and register; gives the version."""
    run_id = registry.run("tiny", request, "train", {})
    shutil.copytree(registry.signing_key.parent, where / request / "keys")
    made = make_package(where / request, run_id=run_id, seed=seed)
    return registry.register("tiny", run_id, made.folder, {"as_of": "2024-01"})


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


def test_promotion_moves_the_aliases_and_is_idempotent(registry, tmp_path):
    first = _registered(registry, tmp_path, "one")
    registry.promote("tiny", first)
    assert _aliases(registry) == {"challenger": None, "champion": first, "previous": None}

    second = _registered(registry, tmp_path, "two")
    for _ in range(2):
        registry.promote("tiny", second, ["better"])
        assert _aliases(registry) == {"challenger": None, "champion": second, "previous": first}
    assert registry.details("tiny", second)["tags"]["verdict"] == "promoted"


def test_promoting_an_older_version_leaves_a_newer_challenger_alone(registry, tmp_path):
    first, second = (_registered(registry, tmp_path, name) for name in ("one", "two"))
    registry.promote("tiny", first)
    assert _aliases(registry) == {"challenger": second, "champion": first, "previous": None}


def test_a_promotion_that_died_halfway_can_be_done_again(registry, tmp_path, monkeypatch):
    first, second = (_registered(registry, tmp_path, name) for name in ("one", "two"))
    registry.promote("tiny", first)
    client, real = registry.client._client, registry.client._client.set_registered_model_alias

    def dies_at_champion(name, alias, version):
        if alias == "champion":
            raise KeyboardInterrupt
        real(name, alias, version)

    monkeypatch.setattr(client, "set_registered_model_alias", dies_at_champion)
    with pytest.raises(KeyboardInterrupt):
        registry.promote("tiny", second)
    assert _aliases(registry)["champion"] == first
    monkeypatch.undo()

    registry.promote("tiny", second)
    assert _aliases(registry) == {"challenger": None, "champion": second, "previous": first}


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
        registry.promote("tiny", version)

        assert _aliases(registry) == {"challenger": "2", "champion": version, "previous": None}
        model = registry.load("tiny", version)
        assert model.predict_features(model.reference)["prediction"].isin([0, 1]).all()
        with pytest.raises(DataContractError, match="no such version"):
            registry.details("tiny", "9")
    with pytest.raises(ServiceUnavailable, match=address):
        registry.version_of("tiny", "champion")
