"""A registry in memory, a model that is real, and the application around them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from include.errors import ServiceUnavailable
from include.lake.table import Lake
from include.registry.package import ServableModel
from include.serving.app import create_app
from include.settings import Settings
from tests.support.packages import make_package


class StubRegistry:
    """What serving needs of the registry; `down` makes it unreachable, `loads` tells of loads."""

    def __init__(self) -> None:
        self.champions: dict[str, str] = {}
        self.models: dict[tuple[str, str], ServableModel | Exception] = {}
        self.down = False
        self.loads: list[str] = []

    def promote(self, model: ServableModel, version: str) -> None:
        """Make a model the champion."""
        name = model.use_case.name
        self.models[name, version] = dataclasses.replace(model, version=version)
        self.champions[name] = version

    def version_of(self, name: str) -> str | None:
        """Return the champion's version."""
        if self.down:
            raise ServiceUnavailable("MLflow at http://127.0.0.1:5000 does not answer.")
        return self.champions.get(name)

    def load(self, name: str, version: str) -> ServableModel:
        """Return a model, or raise what stands in its place."""
        self.loads.append(version)
        found = self.models[name, version]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> ServableModel:
    """Load a logistic regression of the use case `tiny`."""
    return make_package(tmp_path_factory.mktemp("tiny")).load("1")


@pytest.fixture
def registry(tiny_model: ServableModel) -> StubRegistry:
    """Make a registry whose champion of `tiny` is version 1."""
    made = StubRegistry()
    made.promote(tiny_model, "1")
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"FLYWHEEL_HOME": str(tmp_path / "home")})


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake_uri)


@pytest.fixture
def serve(settings: Settings, registry: StubRegistry, lake: Lake) -> Callable[..., TestClient]:
    """Make a client; within `with`, the application runs."""

    def make(names: tuple[str, ...] = ("tiny",), **changes: Any) -> TestClient:
        options = {"names": lambda: list(names), "poll_s": 0.05, "log_every_s": 0.05, **changes}
        app = create_app(settings, registry, lake, **options)
        return TestClient(app, "http://localhost", raise_server_exceptions=False)

    return make


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> Iterator[TestClient]:
    with serve() as running:
        yield running
