"""A serving application over a folder of use cases and a registry in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from include.lake.table import Lake
from include.registry.package import ServableModel
from include.serving.app import create_app
from include.settings import Settings
from include.use_cases.python_package import OwnPython


class OneChampion:
    """A registry with one model, the champion."""

    def __init__(self, model: ServableModel) -> None:
        self._model = replace(model, version="1")

    def version_of(self, name: str) -> str | None:
        """Return the version."""
        return "1" if name == self._model.use_case.name else None

    def load(self, name: str, version: str) -> ServableModel:
        """Return the model."""
        return self._model


@contextmanager
def served(
    model: ServableModel, where: Path, monkeypatch: pytest.MonkeyPatch, python: str | None = None
) -> Iterator[TestClient]:
    """Run the application over `where/use_cases`, which has the model's use case.

    `python` is the `features.py` in the model's package; the working tree has none.
    """
    folder = where / "use_cases" / model.use_case.name
    folder.mkdir(parents=True)
    (folder / "use_case.yaml").write_text("only its being there counts")
    if python is not None:
        own = OwnPython(model.use_case.name, (("features.py", python),))
        model = replace(model, python=own)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(where / "use_cases"))
    settings = Settings.from_env({"FLYWHEEL_HOME": str(where / "home")})
    app = create_app(
        settings, OneChampion(model), Lake(settings.lake_uri), poll_s=0.02, log_every_s=0.5
    )
    with TestClient(app, "http://localhost", raise_server_exceptions=False) as client:
        yield client


def until(check: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait for a truth that another thread makes."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not true within {timeout_s} s")
