"""Code version and lock hash, against git and hashlib themselves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
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


def test_the_processor_is_named_by_vendor_family_and_model(tmp_path: Path) -> None:
    about = tmp_path / "cpuinfo"
    one = "processor\t: {}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: {}\n\n"
    about.write_text(one.format(0, 143) + one.format(1, 999))
    assert provenance._cpu(about) == "GenuineIntel family 6 model 143"


@pytest.mark.parametrize("text", [None, "", "Features: fp asimd\n"])
def test_where_linux_does_not_tell_the_processor_python_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    about = tmp_path / "cpuinfo"
    if text is not None:
        about.write_text(text)
    monkeypatch.setattr("platform.processor", lambda: "arm")
    assert provenance._cpu(about) == "arm"


def test_the_environment_names_what_bits_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("FLYWHEEL_CODE_VERSION", "1.2.3")
    told = provenance.environment()
    assert told["threads"] == "3"
    assert told["code_version"] == "1.2.3"
    assert told["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert told["machine"].startswith(f"{os.uname().sysname} {os.uname().machine}, ")


def test_the_lock_hash_is_of_the_requirements() -> None:
    lock = Path(__file__).parents[2] / "requirements.txt"
    assert provenance.lock_hash() == hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
