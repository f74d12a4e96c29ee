"""`scans`: a use case in which people label rows, on a small lake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.lake.table import Lake
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from tests.support.scans import NAME, write

Make = Callable[..., UseCase]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make the use case `scans`, with other keys of `labels.people`, and of the whole."""
    root = tmp_path / "use_cases"
    (root / NAME).mkdir(parents=True)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(root))

    def made(people: dict[str, Any] | None = None, **changed: Any) -> UseCase:
        write(root, people, **changed)
        return get(NAME)

    return made


@pytest.fixture
def scans(make: Make) -> UseCase:
    """Give the use case as it stands there."""
    return make()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Make an empty lake."""
    return Lake(str(tmp_path / "lake"))
