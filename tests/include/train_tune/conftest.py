from pathlib import Path

import pytest

from tests.support.houses import House, make_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return make_house(tmp_path)


@pytest.fixture(params=["classification", "regression", "clustering"])
def each_house(request, tmp_path: Path) -> House:
    return make_house(tmp_path, request.param)
