"""A home is saved while its databases and tables are written to, and made again elsewhere."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import subprocess
import threading
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from include.errors import ConfigError, DataContractError
from include.lake.table import Lake
from include.registry import signing
from include.registry.ledger import Ledger
from include.settings import Settings
from scripts.backup import manifest
from scripts.backup import stack as backup
from scripts.backup.trees import digest_of
from scripts.stack import layout, secret_files
from scripts.stack.environment import base_environment
from scripts.stack.settings import MARKER, StackSettings

PICTURE = "lake/daily/pictures/2024-01/0f.png"


def library_of(settings: StackSettings) -> Settings:
    return Settings.from_env(base_environment(settings))


def promote(library: Settings, version: str, instead_of: str | None) -> None:
    facts = {"as_of": "2024-01", "known_up_to": "2024-01", "package_sha256": "0" * 64}
    Ledger(Lake(library.lake_uri), "daily", library.verify_key).promote(
        version=version,
        instead_of=instead_of,
        facts=facts,
        who="ann",
        why="a test",
        evidence={},
        run_id=f"run {version}",
        signing_key=library.signing_key,
    )


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    """Make a home as a stack leaves it, with little in it."""
    made = StackSettings.on_free_ports(tmp_path / "home")
    for folder in (made.home, made.airflow_home, made.mlflow_home / "artifacts"):
        folder.mkdir(mode=0o700, parents=True)
    secret_files.ensure(made)
    library = library_of(made)
    signing.ensure_keys(library.signing_key, library.verify_key)
    for file in (made.airflow_home / "airflow.db", made.mlflow_home / "mlflow.db"):
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
            database.execute("INSERT INTO pair VALUES (0, 0)")
    shutil.copy(made.mlflow_home / "mlflow.db", made.mlflow_home / "users.db")
    (made.mlflow_home / "artifacts" / "model.skops").write_bytes(b"model")
    (made.home / "landing" / "parts").mkdir(parents=True)
    (made.home / "landing" / "parts" / "a.csv").write_text("1,2")
    write_deltalake(str(made.home / "lake/daily/raw"), pa.table({"value": [1]}))
    (made.home / "lake/daily/pictures/2024-01").mkdir(parents=True)
    (made.home / PICTURE).write_bytes(b"png")
    promote(library, "1", None)
    layout.write(made)
    return made


def test_a_restored_home_is_what_was_saved_keys_included(settings, tmp_path):
    backup.save(settings, tmp_path / "saved", tmp_path / "keys")
    new = StackSettings.on_free_ports(tmp_path / "elsewhere" / "home")
    new.home.parent.mkdir()
    backup.restore(new, tmp_path / "saved", tmp_path / "keys")

    for path in ("airflow/airflow.db", "mlflow/users.db"):
        with closing(sqlite3.connect(new.home / path)) as database:
            assert database.execute("SELECT * FROM pair").fetchall() == [(0, 0)]
    files = ("mlflow/artifacts/model.skops", "landing/parts/a.csv", "keys/signing.pem", PICTURE)
    for path in files:
        assert (new.home / path).read_bytes() == (settings.home / path).read_bytes()
    for file in settings.secrets.iterdir():
        assert (new.secrets / file.name).read_bytes() == file.read_bytes()
    assert DeltaTable(str(new.home / "lake/daily/raw")).to_pyarrow_table()["value"].to_pylist() == [
        1
    ]
    assert not [p for p in new.home.rglob("*") if stat.S_IMODE(p.stat().st_mode) & 0o077]
    assert layout.read(new) == layout.LAYOUT
    promote(library_of(new), "2", "1")  # the same key signs on


def test_no_secret_is_in_the_backup(settings, tmp_path):
    backup.save(settings, tmp_path / "saved", tmp_path / "keys")
    secrets = [file.read_bytes().strip() for file in settings.secrets.iterdir()]
    secrets.append(library_of(settings).signing_key.read_bytes().strip())
    for file in (path for path in (tmp_path / "saved").rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret in content], file


def test_a_database_is_saved_as_it_was_between_two_transactions(settings, tmp_path):
    stop = threading.Event()

    def write() -> None:
        with closing(
            sqlite3.connect(settings.airflow_home / "airflow.db", timeout=60, isolation_level=None)
        ) as database:
            number = 0
            while not stop.is_set():
                number += 1
                database.execute("BEGIN IMMEDIATE")
                database.execute("INSERT INTO pair VALUES (?, NULL)", (number,))
                database.execute("UPDATE pair SET b = a WHERE b IS NULL")
                database.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for attempt in range(2):
            backup.save(settings, tmp_path / f"saved-{attempt}")
            copy = tmp_path / f"saved-{attempt}" / "databases" / "airflow.db"
            with closing(sqlite3.connect(copy)) as database:
                torn = "SELECT count(*) FROM pair WHERE b IS NOT a"
                assert database.execute(torn).fetchone() == (0,)
    finally:
        stop.set()
        writer.join()
    with closing(sqlite3.connect(settings.airflow_home / "airflow.db")) as database:
        assert database.execute("SELECT count(*) FROM pair").fetchone()[0] > 5, "it was written to"


def test_a_promotion_that_comes_while_models_are_copied_is_not_in_the_backup(
    settings, tmp_path, monkeypatch
):
    """The registry of the copy may lack its model: the ledger must be the older of the two."""
    save, library = backup._save_database, library_of(settings)

    def overtaken(file: Path, folder: Path) -> None:
        if file.name == "mlflow.db":
            save(file, folder)
            promote(library, "2", "1")
        else:
            save(file, folder)

    monkeypatch.setattr(backup, "_save_database", overtaken)
    backup.save(settings, tmp_path / "saved", tmp_path / "keys")
    new = StackSettings.on_free_ports(tmp_path / "new")
    backup.restore(new, tmp_path / "saved", tmp_path / "keys")
    restored = library_of(new)
    ledger = Ledger(Lake(restored.lake_uri), "daily", restored.verify_key)
    assert [entry.version for entry in ledger.entries()] == ["1"]
    promote(restored, "3", "1")  # and the ledger goes on
    assert [entry.number for entry in ledger.entries()] == [1, 2]


def test_without_its_keys_a_backup_gets_a_new_pair_that_believes_the_former_one(settings, tmp_path):
    backup.save(settings, tmp_path / "saved")
    new = StackSettings.on_free_ports(tmp_path / "new")
    backup.restore(new, tmp_path / "saved")
    library = library_of(new)
    assert not library.signing_key.exists()
    signing.ensure_keys(library.signing_key, library.verify_key)  # as `make up` does
    assert library.signing_key.read_bytes() != library_of(settings).signing_key.read_bytes()
    promote(library, "2", "1")
    entries = Ledger(Lake(library.lake_uri), "daily", library.verify_key).entries()
    assert [entry.version for entry in entries] == ["1", "2"]


def test_who_writes_into_a_backup_adds_no_key_that_is_believed(settings, tmp_path):
    """Neither does a manifest that fits: the keys' own folder says which are believed."""
    saved, keys = tmp_path / "saved", tmp_path / "keys"
    backup.save(settings, saved, keys)
    signing.ensure_keys(tmp_path / "other.pem", tmp_path / "other-public.pem")
    file = saved / "verify.pem"
    file.write_bytes(file.read_bytes() + (tmp_path / "other-public.pem").read_bytes())
    described = manifest.FILE
    facts = json.loads((saved / described).read_text())
    facts["files"]["verify.pem"] = asdict(digest_of(file))
    (saved / described).write_text(json.dumps(facts))

    new = StackSettings.on_free_ports(tmp_path / "new")
    with pytest.raises(ConfigError, match=r"believes the signing keys .*verify\.pem does not hold"):
        backup.restore(new, saved, keys)
    assert not new.home.exists()


def test_a_folder_of_keys_without_the_public_ones_is_refused(settings, tmp_path):
    backup.save(settings, tmp_path / "saved", tmp_path / "keys")
    (tmp_path / "keys" / "verify.pem").unlink()
    with pytest.raises(ConfigError, match=r"holds no verify\.pem"):
        backup.restore(settings, tmp_path / "saved", tmp_path / "keys")


def test_a_home_is_replaced_only_by_its_name_and_then_kept_aside(settings, tmp_path):
    backup.save(settings, tmp_path / "saved")
    (settings.home / "landing" / "parts" / "later.csv").write_text("x")
    for word in ("", "yes"):
        with pytest.raises(ConfigError, match=f"say so: REPLACE={settings.home}"):
            backup.restore(settings, tmp_path / "saved", replace=word)
    backup.restore(settings, tmp_path / "saved", replace=str(settings.home))
    (aside,) = tmp_path.glob("home.before-*")
    assert (aside / "landing" / "parts" / "later.csv").exists()
    assert not (settings.home / "landing" / "parts" / "later.csv").exists()


def test_a_home_that_is_in_use_is_not_moved_away(settings, tmp_path):
    backup.save(settings, tmp_path / "saved")
    part = subprocess.Popen(["sleep", "60"], env={MARKER: str(settings.home)})
    try:
        with pytest.raises(ConfigError, match=r"The stack of .* runs\. Stop it"):
            backup.restore(settings, tmp_path / "saved", replace=str(settings.home))
    finally:
        part.kill()
        part.wait()
    assert (settings.home / "landing" / "parts" / "a.csv").exists()


def test_a_changed_backup_leaves_everything_as_it_was(settings, tmp_path):
    backup.save(settings, tmp_path / "saved")
    (tmp_path / "saved" / "databases" / "mlflow.db").write_bytes(b"torn")
    new = StackSettings.on_free_ports(tmp_path / "new")
    with pytest.raises(DataContractError, match=r"1 changed, such as databases/mlflow\.db"):
        backup.restore(new, tmp_path / "saved")
    assert not new.home.exists()
    assert not list(tmp_path.glob("new*"))


def test_what_is_no_stack_is_not_saved(tmp_path):
    empty = StackSettings.on_free_ports(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="There is nothing to back up in"):
        backup.save(empty, tmp_path / "saved")


def test_a_home_of_another_layout_is_not_saved(settings, tmp_path):
    (settings.home / "layout").write_text("3\n")
    with pytest.raises(ConfigError, match="has layout 3, and this version"):
        backup.save(settings, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_keys_that_are_none_are_refused_before_anything_is_made(settings, tmp_path):
    backup.save(settings, tmp_path / "saved")
    (tmp_path / "keys").mkdir()
    new = StackSettings.on_free_ports(tmp_path / "new")
    with pytest.raises(ConfigError, match=r"holds no signing\.pem"):
        backup.restore(new, tmp_path / "saved", tmp_path / "keys")
    assert not new.home.exists()
