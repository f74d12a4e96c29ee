"""Answers are those that were recorded before requests were scored together: to 1e-6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.include.serving import recorded

TOLD_SINCE = ("unknown_categories", "failed_joins")
"""Answers tell these since, and predict the same."""


def test_answers_are_as_recorded(tmp_path: Path) -> None:
    expected, found = recorded.recorded(), recorded.ask(tmp_path)
    assert len(expected) == len(found) == recorded.REQUESTS
    assert {status for status, _ in expected} == {200, 400}
    for number, (before, now) in enumerate(zip(expected, found, strict=True)):
        assert now[0] == before[0], (number, before, now)
        for finding in TOLD_SINCE:
            now[1].pop(finding, None)
        assert _same(now[1], before[1]), (number, before, now)


def _same(now: Any, before: Any) -> bool:
    if isinstance(before, dict):
        return now.keys() == before.keys() and all(_same(now[k], before[k]) for k in before)
    if isinstance(before, list):
        return len(now) == len(before) and all(map(_same, now, before))
    if isinstance(before, float):
        return now == pytest.approx(before, rel=1e-6, abs=1e-6)
    return bool(now == before and type(now) is type(before))
