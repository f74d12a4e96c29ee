from pathlib import Path

import pytest

from include.lake.table import Lake
from include.registry.client import Registry
from tests.support.packages import TinyPackage, make_package
from tests.support.registries import local_registry


@pytest.fixture
def package(tmp_path: Path) -> TinyPackage:
    return make_package(tmp_path / "made")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return local_registry(tmp_path / "registry")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))
