"""A backup's files: copied whole, described, and refused where they are not what was described."""

from __future__ import annotations

import hashlib
import json
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from scripts.backup import keys, manifest, trees
from scripts.backup.trees import Digest, Tree
from scripts.stack.layout import LAYOUT


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Make a whole backup of one file."""
    folder = tmp_path / "backup"
    manifest.begin(folder)
    (folder / "lake").mkdir()
    (folder / "lake" / "a").write_text("abc")
    digest = Digest(3, hashlib.sha256(b"abc").hexdigest())
    described = manifest.described("stack", {"daily/raw": 4}, {"lake/a": digest}, datetime.now(UTC))
    manifest.write(described, folder)
    return folder


def edit(folder: Path, **changes: object) -> None:
    file = folder / manifest.FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_whole_backup_is_read_as_it_was_described(made):
    found = manifest.read(made, "stack")
    assert (found.layout, found.tables) == (LAYOUT, {"daily/raw": 4})
    assert found.files == {"lake/a": Digest(3, hashlib.sha256(b"abc").hexdigest())}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE((made / manifest.FILE).stat().st_mode) == 0o600


def test_a_backup_is_never_overwritten(made):
    with pytest.raises(ConfigError, match="must be empty or not exist, because a backup is never"):
        manifest.begin(made)


def test_a_folder_that_was_not_finished_is_no_backup(made):
    (made / manifest.FILE).unlink()
    with pytest.raises(ConfigError, match="it is no backup, or one that was never finished"):
        manifest.read(made, "stack")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "lake" / "a").write_text("abd"), "1 changed, such as lake/a"),
        (lambda folder: (folder / "lake" / "a").write_text("ab"), "1 changed, such as lake/a"),
        (lambda folder: (folder / "lake" / "a").unlink(), "1 missing, such as lake/a"),
        (lambda folder: (folder / "b").write_text(""), "1 added, such as b"),
    ],
)
def test_a_file_that_is_not_as_described_is_named(made, damage, words):
    damage(made)
    with pytest.raises(DataContractError, match=words):
        manifest.read(made, "stack")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"kind": "cluster"},
            "is a backup of a cluster, not of a stack. Use `make cluster-restore",
        ),
        ({"layout": LAYOUT + 1}, f"has layout {LAYOUT + 1}, and this version .* needs layout"),
        ({"layout": LAYOUT - 1}, f"has layout {LAYOUT - 1}, and this version .* needs layout"),
        ({"format": 2}, "is a backup of format 2, and this version of Flywheel reads format 1"),
        ({"packages": {"mlflow": "99.0"}}, "was made with mlflow 99.0, and .* is installed"),
    ],
)
def test_a_backup_that_this_code_cannot_restore_is_refused_with_words(made, change, words):
    edit(made, **change)
    with pytest.raises(ConfigError, match=words):
        manifest.read(made, "stack")


def test_an_older_program_is_no_obstacle_its_database_is_migrated(made):
    edit(made, packages={"mlflow": "1.0", "apache-airflow-core": "3.0.0"})
    assert manifest.read(made, "stack").packages["mlflow"] == "1.0"


def test_a_damaged_manifest_is_refused(made):
    (made / manifest.FILE).write_text('{"format": 1')
    with pytest.raises(DataContractError, match=r"manifest\.json is damaged"):
        manifest.read(made, "stack")


def test_files_are_copied_there_and_back_with_their_times(tmp_path):
    source, copy, back = tmp_path / "source", tmp_path / "copy", tmp_path / "back"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file name=1").write_bytes(b"x" * 3_000_000)
    tree = Tree(str(source))
    digests = tree.save(tree.paths(), copy)
    Tree(str(back)).fill(copy)

    content = b"x" * 3_000_000
    assert digests == {
        "deep/file name=1": Digest(len(content), hashlib.sha256(content).hexdigest())
    }
    restored = back / "deep" / "file name=1"
    assert restored.read_bytes() == content
    assert restored.stat().st_mtime_ns == (source / "deep" / "file name=1").stat().st_mtime_ns
    assert Tree(str(tmp_path / "nowhere")).paths() == []


def test_a_file_that_is_being_written_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "STILL_S", 0.3)
    source = tmp_path / "source"
    source.mkdir()
    file = source / "rows.csv"
    file.write_text("0\n")

    def write() -> None:
        for number in range(1, 6):
            time.sleep(0.1)
            with file.open("a") as output:
                output.write(f"{number}\n")

    writer = threading.Thread(target=write)
    writer.start()
    Tree(str(source)).save(["rows.csv"], tmp_path / "copy", still=True)
    writer.join()
    assert (tmp_path / "copy" / "rows.csv").read_text() == "0\n1\n2\n3\n4\n5\n"


def test_a_file_that_is_written_for_ever_ends_the_backup(tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "_STILL_WITHIN_S", 0.2)
    (tmp_path / "rows.csv").write_text("0")
    with pytest.raises(ServiceUnavailable, match=r"rows\.csv is being written all the time"):
        Tree(str(tmp_path)).save(["rows.csv"], tmp_path / "copy", still=True)


def test_a_file_that_changes_while_it_is_copied_is_copied_again(tmp_path, monkeypatch):
    source, file = tmp_path / "source", tmp_path / "source" / "rows.csv"
    source.mkdir()
    file.write_text("old")
    monkeypatch.setattr(trees, "STILL_S", 0.0)
    written = trees._written

    def slow(reading, target):
        digest = written(reading, target)
        if file.read_text() == "old":
            file.write_text("newer")
        return digest

    monkeypatch.setattr(trees, "_written", slow)
    saved = Tree(str(source)).save(["rows.csv"], tmp_path / "copy", still=True)
    assert saved == {"rows.csv": Digest(5, hashlib.sha256(b"newer").hexdigest())}
    assert (tmp_path / "copy" / "rows.csv").read_text() == "newer"


@pytest.mark.parametrize("still", [True, False])
def test_a_file_that_is_renamed_after_the_listing_is_left_out(tmp_path, still):
    """As programs do that write `rows.csv.part` first."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "rows.csv.part").write_text("0")
    tree = Tree(str(source))
    listed = tree.paths()
    (source / "rows.csv.part").rename(source / "rows.csv")
    assert tree.save(listed, tmp_path / "copy", still=still) == {}
    assert not (tmp_path / "copy").exists()


def test_a_file_that_is_removed_while_it_is_copied_leaves_nothing(tmp_path, monkeypatch):
    """What the manifest does not name would make the backup count as damaged."""
    (tmp_path / "rows.csv").write_text("0")
    monkeypatch.setattr(trees, "STILL_S", 0.0)
    written = trees._written

    def remove(reading, target):
        digest = written(reading, target)
        (tmp_path / "rows.csv").unlink()
        return digest

    monkeypatch.setattr(trees, "_written", remove)
    assert Tree(str(tmp_path)).save(["rows.csv"], tmp_path / "copy", still=True) == {}
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_link_is_no_file_of_a_backup(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="must hold no symbolic links"):
        trees.digests_below(tmp_path)


def test_keys_are_the_owners_only_and_never_inside_the_backup(tmp_path):
    source = tmp_path / "secrets"
    source.mkdir()
    (source / "jwt_secret").write_text("x")
    (source / "jwt_secret").chmod(0o644)
    target = tmp_path / "keys"
    keys.save({"secrets": source}, target)
    assert (target / "secrets" / "jwt_secret").read_text() == "x"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (target, target / "secrets")}
    assert modes == {0o700}
    assert stat.S_IMODE((target / "secrets" / "jwt_secret").stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="keys are never overwritten"):
        keys.save({"secrets": source}, target)
    with pytest.raises(ConfigError, match="KEYS must be a folder outside of the backup"):
        keys.check_folder(tmp_path / "backup" / "keys", tmp_path / "backup")
