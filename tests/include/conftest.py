"""A small use case, `churn`, for the tests of the first three phases."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from include.use_cases.schema import UseCase

VALID = Path(__file__).parent / "use_cases" / "confs" / "valid" / "classification.yaml"
SUITE = """\
- {expectation: expect_table_row_count_to_be_between, min_value: 2, max_value: 1000, on_failure:
refuse}
- {expectation: expect_column_values_to_not_be_null, column: plan, on_failure: quarantine}
- {expectation: expect_column_values_to_be_between, column: calls, min_value: 0, on_failure:
quarantine}
"""


@pytest.fixture
def churn_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a root of use cases, with `churn` alone; a quarter of its rows may be quarantined."""
    root = tmp_path / "use_cases"
    (root / "churn").mkdir(parents=True)
    text = VALID.read_text() + "validate: {max_quarantined_share: 0.25}\n"
    (root / "churn" / "use_case.yaml").write_text(text)
    (root / "churn" / "expectations.yaml").write_text(SUITE)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(root))
    return root


@pytest.fixture
def churn(churn_root: Path) -> UseCase:
    """Give customers by day; reference `plans`; label 1 where they leave within 30 days."""
    return get("churn")


@pytest.fixture
def churn_lake(tmp_path: Path) -> Lake:
    """Make an empty lake."""
    return Lake(str(tmp_path / "lake"))


def writer(token: int) -> Writer:
    """Make a writer with that token."""
    return Writer(run_id=f"run-{token}", attempt=1, token=token, code_version="test")


@pytest.fixture
def first() -> Writer:
    """Make the first attempt."""
    return writer(1)


@pytest.fixture
def second() -> Writer:
    """Make a later attempt."""
    return writer(2)
