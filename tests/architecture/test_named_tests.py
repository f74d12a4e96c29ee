"""A document that leans on a test names one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
DOCUMENTS = [REPO / "SECURITY.md", REPO / "docs" / "reliability.md"]


def named(text: str) -> list[tuple[str, str]]:
    """Return file and function of each test that stands in backticks; the function may be ""."""
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?", text)


def missing(text: str, root: Path) -> list[str]:
    """Return the named tests that do not exist."""
    wrong = []
    for file, function in named(text):
        path = root / file
        if not path.exists() or (function and f"def {function}(" not in path.read_text()):
            wrong.append(f"{file}::{function}")
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_test_that_is_named_exists(document):
    text = document.read_text()

    assert len(named(text)) >= 5
    assert missing(text, REPO) == [], f"{document.name}: name a test that exists, or remove the row"


def test_a_test_that_does_not_exist_is_seen(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("def test_one():\n    ...\n")
    text = (
        "`tests/test_a.py`, `tests/test_a.py::test_one`, `tests/test_a.py::test_two`, `tests/b.py`"
    )

    assert missing(text, tmp_path) == ["tests/test_a.py::test_two", "tests/b.py::"]
