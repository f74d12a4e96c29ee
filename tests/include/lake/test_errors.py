"""The store's troubles in Flywheel's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import ConfigError, ServiceUnavailable
from include.lake import errors


def test_a_folder_without_the_right_to_write_is_a_matter_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors.os, "access", lambda *_: False)  # root may write anywhere
    error = errors.store_trouble("u.raw", str(tmp_path), "written", OSError("denied"))
    assert isinstance(error, ConfigError)
    assert f"lake folder {tmp_path}: must be a folder that this process may write" in str(error)
    assert "FLYWHEEL_LAKE_URI" in str(error)


def test_anything_else_may_be_retried(tmp_path: Path) -> None:
    error = errors.store_trouble("u.raw", str(tmp_path), "read", OSError("a\n \x1b[31m↳\x1b[0m b"))
    assert isinstance(error, ServiceUnavailable)
    assert f"table u.raw at {tmp_path}: could not be read: a b. Check that" in str(error)


def test_an_object_store_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    errors.make_folder("s3://bucket/u/raw")
    assert list(tmp_path.iterdir()) == []
    errors.make_folder(str(tmp_path / "u" / "raw"))
    assert (tmp_path / "u" / "raw").is_dir()
