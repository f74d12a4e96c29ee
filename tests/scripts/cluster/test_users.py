"""Each part has a user of its own where root starts the cluster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.cluster import parts, users
from scripts.cluster.manager import places
from tests.support.clusters import folder_for_all_users

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become other users")


@pytest.fixture(autouse=True)
def asked_anew():
    """Forget what was found for other programs."""
    users.hindrance.cache_clear()
    yield
    getattr(users.hindrance, "cache_clear", lambda: None)()


def read_by(uid: int, file: Path) -> bool:
    done = subprocess.run(users.switched(uid, ("cat", str(file))), capture_output=True, check=False)
    return done.returncode == 0 and done.stdout == file.read_bytes()


@AS_ROOT
def test_a_part_reads_its_own_home_and_no_other(settings, monkeypatch, installed):
    monkeypatch.setattr(users, "hindrance", lambda _: None)
    monkeypatch.setattr(users, "compile_code", lambda: None)
    with folder_for_all_users() as folder:
        _, place = places(settings.model_copy(update={"cluster_home": folder}))
        parts.prepare(settings, place)
        later = place.home_of("worker-1") / "airflow"
        later.mkdir()
        (later / "training_set").write_text("rows")
        parts.prepare(settings, place)

        for name in parts.ROLES:
            for other in parts.ROLES:
                file = place.home_of(other) / "verify.pem"
                assert read_by(users.uid_of(name, parts.ROLES), file) == (name == other)
        assert read_by(users.uid_of("worker-1", parts.ROLES), later / "training_set")
        assert not read_by(users.uid_of("worker-2", parts.ROLES), later / "training_set")
        signing_key = place.home_of("worker-trusted") / "signing.pem"
        assert read_by(users.uid_of("worker-trusted", parts.ROLES), signing_key)
        assert not read_by(users.uid_of("worker-1", parts.ROLES), signing_key)


def test_a_link_that_a_part_put_in_the_place_of_its_file_is_not_followed(tmp_path):
    other, home = tmp_path / "other", tmp_path / "home"
    other.write_text("of somebody else")
    home.mkdir()
    (home / "verify.pem").symlink_to(other)

    parts.write_files({"verify.pem": b"key"}, home)

    assert other.read_text() == "of somebody else"
    written = home / "verify.pem"
    assert not written.is_symlink()
    assert (written.read_bytes(), written.stat().st_mode & 0o777) == (b"key", 0o600)
    assert [each.name for each in home.iterdir()] == ["verify.pem"]


@AS_ROOT
def test_what_root_writes_is_of_the_owner_of_the_folder(tmp_path):
    os.chown(tmp_path, users.FIRST, users.FIRST)
    users.write_private(tmp_path / "redis.conf", b"port 1")
    written = (tmp_path / "redis.conf").stat()
    assert (written.st_uid, written.st_gid) == (users.FIRST, users.FIRST)


@AS_ROOT
def test_a_user_of_its_own_is_in_no_group_of_roots():
    shown = subprocess.run(users.switched(users.FIRST, ("id",)), capture_output=True, text=True)
    number = str(users.FIRST)
    assert shown.stdout.split() == [f"uid={number}", f"gid={number}", f"groups={number}"]


@AS_ROOT
def test_another_user_finds_the_revision_of_the_code():
    with folder_for_all_users() as folder:
        env = {"PATH": os.defpath, **users.variables("worker-1", folder)}
        asked = ("git", "-C", str(users.REPO), "rev-parse", "HEAD")
        ours, theirs = (
            subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            for command in (asked, users.switched(users.FIRST, ("env", *asked)))
        )
    assert theirs.stdout.strip() == ours.stdout.strip() != "", theirs.stderr


def test_parts_are_started_as_different_users(settings, monkeypatch, installed):
    _, place = places(settings)
    monkeypatch.setattr(users, "hindrance", lambda _: None)
    found = {part.name: part for part in parts.parts(settings, place)}

    switched = {found[name].command[:3] for name in parts.ROLES}
    assert len(switched) == len(parts.ROLES)
    assert all(command[0] == "setpriv" for command in switched)
    assert found["worker-1"].environment["LOGNAME"] == "worker-1"


def test_without_users_of_their_own_all_parts_run_as_we_do(settings, monkeypatch, installed):
    _, place = places(settings)
    monkeypatch.setattr(users, "hindrance", lambda _: "only root may")
    found = {part.name: part for part in parts.parts(settings, place)}
    assert all("setpriv" not in found[name].command for name in parts.ROLES)


def test_who_is_not_root_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert users.hindrance(tmp_path) == "only root may start processes as other users"


@AS_ROOT
def test_what_other_users_cannot_read_is_named(monkeypatch, tmp_path):
    """Below a closed folder, as a person's home is."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").symlink_to("/usr/bin/env")
    monkeypatch.setattr("sys.executable", str(closed / "python"))
    assert "another user cannot run" in str(users.hindrance(tmp_path))
