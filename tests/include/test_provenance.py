"""Code version and lock hash, against git and hashlib themselves."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from include import provenance


def git(repo: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(repo), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FLYWHEEL_CODE_VERSION", raising=False)
    monkeypatch.setattr(provenance, "REPO", tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "a")
    return tmp_path


def test_the_variable_wins(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_CODE_VERSION", "1.2.3")
    assert provenance.code_version() == "1.2.3"


def test_a_clean_tree_is_the_commit(repo: Path) -> None:
    assert provenance.code_version() == git(repo, "rev-parse", "HEAD")[:12]


def test_a_changed_tree_says_so(repo: Path) -> None:
    (repo / "a").write_text("2")
    assert provenance.code_version() == git(repo, "rev-parse", "HEAD")[:12] + "+dirty"


def test_without_git_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYWHEEL_CODE_VERSION", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(provenance, "REPO", tmp_path)
    assert provenance.code_version() == "unknown"


def test_the_lock_hash_is_of_the_requirements() -> None:
    lock = Path(__file__).parents[2] / "requirements.txt"
    assert provenance.lock_hash() == hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
