"""An empty home for each test, and doubles of library functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest

from include.registry.client import Registry
from plugins.operators.base import PhaseOperator
from tests.support import tasks


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the settings at an empty folder."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_CODE_VERSION", "test")
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION", "test")
    return tmp_path


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], Mock]:
    """Put an autospecced double in the place of a library function."""
    return tasks.stub(monkeypatch)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Put an autospecced registry behind every operator."""
    double: Mock = create_autospec(Registry, instance=True)
    monkeypatch.setattr(PhaseOperator, "registry", double)
    return double
