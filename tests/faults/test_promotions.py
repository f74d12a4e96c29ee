"""What may serve: only what was promoted, in the order in which it was promoted, as it was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.lake.table import Lake
from include.registry.ledger import Ledger
from include.registry.manifest import MANIFEST, sha256
from include.registry.newest_promotion import TAG, note, noted
from include.registry.signing import ensure_keys
from include.serving.promoted import PromotedModels


class Packages:
    """A registry whose packages are folders."""

    def __init__(self, where: Path, keys: Path) -> None:
        self.where = where
        self.signing_key, self.verify_key = keys / "signing.pem", keys / "verify.pem"
        self.loaded: list[str] = []
        self.client = self
        self.tags: dict[str, str] = {}
        self.away = False

    def get_registered_model(self, name: str) -> SimpleNamespace:
        if self.away:
            raise ServiceUnavailable("MLflow does not answer")
        return SimpleNamespace(tags=self.tags)

    def set_registered_model_tag(self, name: str, tag: str, value: str) -> None:
        self.tags[tag] = value

    def make(self, version: str) -> str:
        folder = self.where / version
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_text(f"the manifest of version {version}")
        return sha256(folder / MANIFEST)

    def fetch(self, name: str, version: str) -> Path:
        return self.where / version

    def load(self, name: str, version: str) -> str:
        self.loaded.append(version)
        return f"model {version}"


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


class House:
    """A lake, keys and packages."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.keys = where / "keys"
        ensure_keys(self.keys / "signing.pem", self.keys / "verify.pem")
        self.lake = Lake(str(where / "lake"))
        self.packages = Packages(where / "packages", self.keys)

    def models(self) -> PromotedModels:
        return PromotedModels(
            self.packages, self.lake, self.keys / "verify.pem", self.where / "seen.json"
        )

    def promote(self, version: str, instead_of: str | None, sha: str, key: str = "signing") -> None:
        Ledger(self.lake, "tiny", self.keys / "verify.pem").promote(
            version=version,
            instead_of=instead_of,
            facts={
                "as_of": "2024-01",
                "known_up_to": "2024-01",
                "package_sha256": sha,
            },
            who="ann",
            why="a test",
            evidence={},
            run_id=f"run {version}",
            signing_key=self.keys / f"{key}.pem",
        )


def test_what_was_promoted_serves(house):
    models = house.models()
    assert models.version_of("tiny") is None
    house.promote("1", None, house.packages.make("1"))

    assert models.version_of("tiny") == "1"
    assert models.load("tiny", "1") == "model 1"


def test_a_version_that_was_not_promoted_is_not_loaded(house):
    models = house.models()
    house.promote("1", None, house.packages.make("1"))
    house.packages.make("2")
    models.version_of("tiny")

    with pytest.raises(DataContractError, match="version 2 must be the promoted one, 1 is"):
        models.load("tiny", "2")

    assert house.packages.loaded == []


def test_another_package_under_the_promoted_version_is_not_loaded(house):
    models = house.models()
    house.promote("1", None, house.packages.make("1"))
    models.version_of("tiny")
    (house.packages.where / "1" / MANIFEST).write_text("a package that was signed for another run")

    with pytest.raises(DataContractError, match="that was promoted"):
        models.load("tiny", "1")

    assert house.packages.loaded == []


def test_an_entry_of_another_key_is_not_written(house):
    ensure_keys(house.keys / "stranger.pem", house.keys / "stranger_public.pem")
    house.promote("1", None, house.packages.make("1"))

    with pytest.raises(ConfigError, match="must be the private half"):
        house.promote("2", "1", house.packages.make("2"), key="stranger")

    assert house.models().version_of("tiny") == "1"


def test_an_entry_of_another_key_is_not_believed(house, monkeypatch):
    ensure_keys(house.keys / "stranger.pem", house.keys / "stranger_public.pem")
    models = house.models()
    house.promote("1", None, house.packages.make("1"))
    assert models.version_of("tiny") == "1"
    with monkeypatch.context() as stranger:  # whose code does not check
        stranger.setattr(Ledger, "_is_signed", lambda *_: True)
        house.promote("2", "1", house.packages.make("2"), key="stranger")

    with pytest.raises(DataContractError, match="entry 2 must be signed"):
        models.version_of("tiny")


def test_a_ledger_that_goes_back_is_not_followed_also_after_a_restart(house):
    models = house.models()
    house.promote("1", None, house.packages.make("1"))
    house.promote("2", "1", house.packages.make("2"))
    assert models.version_of("tiny") == "2"
    from deltalake import DeltaTable

    DeltaTable(f"{house.where}/lake/tiny/promotions").restore(0)

    for seen in (models, house.models()):
        with pytest.raises(DataContractError, match="must not go back, got entry 1 after entry 2"):
            seen.version_of("tiny")
        assert seen.load("tiny", "2") == "model 2"  # what serves goes on


@pytest.fixture
def set_back(house):
    """Set a lake back to the first of two promotions."""
    from deltalake import DeltaTable

    house.promote("1", None, house.packages.make("1"))
    house.promote("2", "1", house.packages.make("2"))
    note(house.packages, "tiny", 2)
    DeltaTable(f"{house.where}/lake/tiny/promotions").restore(0)
    return house


def test_a_replica_that_lost_its_disk_does_not_follow_a_ledger_that_went_back(set_back):
    models = set_back.models()
    with pytest.raises(DataContractError, match="must not go back, got entry 1 after entry 2"):
        models.version_of("tiny")
    assert set_back.packages.loaded == []
    # What the message says: a lake that was restored on purpose.
    set_back.packages.tags.clear()
    assert models.version_of("tiny") == "1"


def test_a_replica_that_lost_its_disk_waits_for_mlflow(set_back):
    models = set_back.models()
    set_back.packages.away = True
    with pytest.raises(ServiceUnavailable):
        models.version_of("tiny")


def test_a_replica_asks_mlflow_once(house):
    models = house.models()
    house.promote("1", None, house.packages.make("1"))
    assert models.version_of("tiny") == "1"
    house.packages.away = True
    assert models.version_of("tiny") == "1"
    assert house.models().version_of("tiny") == "1", "after a restart its memory tells"


@pytest.mark.parametrize("text", ["", "{}", '{"number": 9, "signature": "00"}', '{"number": "x"}'])
def test_a_note_that_is_not_signed_is_as_good_as_none(house, text, caplog):
    house.packages.tags[TAG] = text
    assert noted(house.packages, "tiny") == 0
    assert "not signed with our key" in caplog.text


def test_a_note_of_another_use_case_is_not_believed(house):
    note(house.packages, "other", 9)
    assert noted(house.packages, "tiny") == 0


def test_a_rollback_is_a_new_entry(house):
    models = house.models()
    for version, before in (("1", None), ("2", "1")):
        house.promote(version, before, house.packages.make(version))
        assert models.version_of("tiny") == version
    first = sha256(house.packages.where / "1" / MANIFEST)
    Ledger(house.lake, "tiny", house.keys / "verify.pem").promote(
        version="1",
        instead_of="2",
        facts={"as_of": "2024-01", "known_up_to": "2024-01", "package_sha256": first},
        who="ann",
        why="a rollback",
        evidence={},
        run_id="rollback",
        signing_key=house.keys / "signing.pem",
    )

    assert models.version_of("tiny") == "1"
