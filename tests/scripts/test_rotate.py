"""Keys are replaced, and what the former ones protect is still there."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from include.errors import ConfigError, DataContractError
from include.lake.table import Lake
from include.registry import signing
from include.registry.client import Registry
from include.settings import Settings
from scripts import rotate
from scripts.cluster import env_file
from scripts.cluster.environment import files
from scripts.cluster.settings import ClusterSettings
from scripts.stack import bootstrap, secret_files
from scripts.stack.environment import airflow_environment, base_environment
from scripts.stack.settings import REPO, StackSettings
from tests.support.packages import make_package
from tests.support.registries import ledger_of, local_registry, make_champion


def champion(registry: Registry, lake: Lake, where: Path, request: str) -> str:
    """Train, sign with the present key, register and promote; give the version."""
    run_id = registry.run("tiny", request, "train", {})
    shutil.copytree(registry.signing_key.parent, where / request / "keys")
    made = make_package(where / request, run_id=run_id, seed=len(request))
    tags = {"as_of": "2024-01", "known_up_to": "2024-01"}
    version = registry.register("tiny", run_id, made.folder, tags)
    make_champion(registry, lake, version)
    return version


def test_a_champion_serves_on_and_the_former_key_goes_when_nothing_needs_it(tmp_path):
    registry, lake = local_registry(tmp_path / "mlflow"), Lake(str(tmp_path / "lake"))
    keys = registry.signing_key, registry.verify_key
    library = Settings(tracking_uri=registry.tracking_uri, home=tmp_path)

    def check() -> None:
        rotate.check_unneeded(signing.public_pem(keys[0]), lake, library, ["tiny", "none"])

    first = champion(registry, lake, tmp_path, "one")
    signing.rotate(*keys)
    assert ledger_of(registry, lake).current().version == first
    assert registry.load("tiny", first).version == first
    with pytest.raises(ConfigError, match="What serves for tiny was signed with a former key"):
        check()

    second = champion(registry, lake, tmp_path, "second")
    assert [entry.version for entry in ledger_of(registry, lake).entries()] == [first, second]
    check()
    signing.withdraw(*keys)
    assert ledger_of(registry, lake).current().version == second
    assert registry.load("tiny", second).version == second
    with pytest.raises(DataContractError, match="does not"):
        registry.load("tiny", first)


def test_a_promotion_alone_does_not_renew_the_package(tmp_path):
    """Its package still rests on the former key: without it nothing would be loaded."""
    registry, lake = local_registry(tmp_path / "mlflow"), Lake(str(tmp_path / "lake"))
    keys = registry.signing_key, registry.verify_key
    first = champion(registry, lake, tmp_path, "one")
    second = champion(registry, lake, tmp_path, "second")
    signing.rotate(*keys)
    ledger_of(registry, lake).promote(
        version=first,
        instead_of=second,
        facts=registry.details("tiny", first)["tags"],
        who="ann",
        why="by hand",
        evidence={},
        run_id="by hand",
        signing_key=keys[0],
    )
    with pytest.raises(ConfigError, match="What serves for tiny was signed with a former key"):
        rotate.check_unneeded(
            signing.public_pem(keys[0]),
            lake,
            Settings(tracking_uri=registry.tracking_uri, home=tmp_path),
            ["tiny"],
        )


def test_the_keys_of_a_cluster_are_rotated_in_its_env_file(tmp_path):
    file = tmp_path / "cluster.env"
    env_file.ensure(file)
    before = env_file.read(file)
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        for name, content in files("trusted", env_file.load(file)).items():
            (folder / name).write_bytes(content)
        if folder is old:
            rotate.cluster_signing_key(file)
    signature = signing.sign(b"x", old / "signing.pem")

    assert signing.verify(b"x", signature, new / "verify.pem"), "what was signed stays valid"
    assert signing.verify(b"x", signing.sign(b"x", new / "signing.pem"), new / "verify.pem")
    assert not signing.verify(b"x", signing.sign(b"x", new / "signing.pem"), old / "verify.pem")
    assert env_file.ensure(file) == [], "`make secrets` accepts several keys"
    after = env_file.read(file)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"FLYWHEEL_SIGNING_KEY_BASE64", "FLYWHEEL_VERIFY_KEY_BASE64"}
    assert file.stat().st_mode & 0o077 == 0


def test_a_key_that_is_not_first_is_not_taken_for_the_signing_keys_half(tmp_path):
    file = tmp_path / "cluster.env"
    env_file.ensure(file)
    known = env_file.read(file)["FLYWHEEL_VERIFY_KEY_BASE64"]
    rotate.cluster_signing_key(file)
    env_file.change(file, {"FLYWHEEL_VERIFY_KEY_BASE64": known})
    with pytest.raises(ConfigError, match="must be the public half of the signing key, or begin"):
        env_file.ensure(file)


def test_the_first_step_for_a_clusters_fernet_key_keeps_the_former_one(tmp_path):
    file = tmp_path / "cluster.env"
    env_file.ensure(file)
    former = env_file.read(file)["FLYWHEEL_FERNET_KEY"]
    rotate.cluster_fernet_key(file)
    new, _, behind = env_file.read(file)["FLYWHEEL_FERNET_KEY"].partition(",")
    assert behind == former != new
    assert len(base64.urlsafe_b64decode(new)) == 32


@pytest.mark.parametrize("name", ["jwt_secret", "api_secret_key", "redis_password"])
def test_a_secret_whose_line_is_removed_is_made_anew(tmp_path, name):
    file = tmp_path / "cluster.env"
    env_file.ensure(file)
    variable, before = ClusterSettings.variable(name), env_file.read(file)
    lines = [line for line in file.read_text().splitlines() if not line.startswith(variable)]
    file.write_text("\n".join(lines) + "\n")
    assert env_file.ensure(file) == [variable]
    after = env_file.read(file)
    assert after[variable] != before[variable]
    assert {n: v for n, v in after.items() if n != variable} == {
        n: v for n, v in before.items() if n != variable
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> StackSettings:
    """Give a home whose databases are made, without starting anything."""
    settings = StackSettings.on_free_ports(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
        bootstrap.prepare(settings)
    return settings


def of_database(settings: StackSettings, script: str) -> str:
    """Run a script with Airflow's models and this stack's key; return its last line."""
    env = {**base_environment(settings), **airflow_environment(settings)}
    begin = (
        "from airflow.models import Connection\n"
        "from airflow.utils.session import create_session\n"
        "with create_session() as session:\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", begin + script], cwd=REPO, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1] if done.stdout else ""


PASSWORD = "    print(session.query(Connection).filter_by(conn_id='kept').one().password)"
ENCRYPTED = "    print(session.query(Connection).filter_by(conn_id='kept').one()._password)"


def test_what_was_encrypted_is_encrypted_again_with_the_new_fernet_key(prepared):
    add = "    session.add(Connection(conn_id='kept', conn_type='http', password='s3cret'))"
    of_database(prepared, add)
    former = secret_files.read(prepared, "fernet_key")

    rotate.fernet_key(prepared)

    new = secret_files.read(prepared, "fernet_key")
    assert new != former
    assert "," not in new
    assert of_database(prepared, PASSWORD) == "s3cret"
    token = of_database(prepared, ENCRYPTED).encode()
    assert Fernet(new.encode()).decrypt(token) == b"s3cret"
    with pytest.raises(InvalidToken):
        Fernet(former.encode()).decrypt(token)


def test_the_former_fernet_key_stays_where_airflow_did_not_encrypt(prepared, monkeypatch):
    former = secret_files.read(prepared, "fernet_key")
    monkeypatch.setattr(rotate, "program", lambda _: "/bin/false")
    with pytest.raises(rotate.ServiceUnavailable, match="and both keys stay"):
        rotate.fernet_key(prepared)
    assert secret_files.read(prepared, "fernet_key").endswith(f",{former}")
    secret_files.replace(prepared.secrets / "fernet_key", former)
