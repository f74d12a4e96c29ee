from __future__ import annotations

import time
from typing import Any

import pytest

from include.serving import admission
from include.serving.admission import LARGE_BODY_BYTES, LONGEST_WAIT_S, Admission
from include.serving.rejected import Rejected

SMALL, LARGE = 100, LARGE_BODY_BYTES + 1


class Clock:
    """Says the time that a test sets."""

    now = 100.0

    def monotonic(self) -> float:
        """Return it."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(admission, "time", made)
    return made


def is_let_in(doors: Admission, use_case: str = "tiny", size: int = SMALL) -> bool:
    try:
        with doors.admitted(use_case, size):
            return True
    except Rejected as error:
        return (error.status, error.headers) != (503, {"Retry-After": "1"})


def open_one(doors: Admission, use_case: str = "tiny", size: int = SMALL) -> Any:
    """Let one in; it is open as long as the caller holds what is returned."""
    made = doors.admitted(use_case, size)
    made.__enter__()
    return made


def test_while_the_oldest_is_young_any_number_is_let_in(clock: Clock) -> None:
    doors = Admission()
    held = [open_one(doors) for _ in range(10_000)]
    clock.now += LONGEST_WAIT_S[False]
    assert is_let_in(doors)
    clock.now += 0.01
    assert not is_let_in(doors)
    assert len(held) == 10_000


def test_the_oldest_that_is_answered_makes_room(clock: Clock) -> None:
    doors = Admission()
    first = open_one(doors)
    clock.now += 0.9
    second = open_one(doors)
    clock.now += 0.2
    assert not is_let_in(doors)
    first.__exit__(None, None, None)
    assert is_let_in(doors)
    second.__exit__(None, None, None)
    clock.now += 60
    assert is_let_in(doors)


def test_neither_another_use_case_nor_large_requests_keep_a_small_one_out(clock: Clock) -> None:
    doors = Admission()
    held = [open_one(doors, "tiny", LARGE), open_one(doors, "other")]
    clock.now += LONGEST_WAIT_S[True] + 1
    assert is_let_in(doors)
    assert not is_let_in(doors, size=LARGE)
    assert not is_let_in(doors, "other")
    del held


def test_a_request_that_fails_counts_no_longer(clock: Clock) -> None:
    doors = Admission()
    with pytest.raises(ValueError, match="of the model"), doors.admitted("tiny", SMALL):
        raise ValueError("of the model")
    clock.now += 60
    assert is_let_in(doors)


def test_the_clock_is_the_monotonic_one() -> None:
    assert Admission().held_bytes == 0
    assert admission.time is time


def test_bodies_in_memory_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(admission, "MOST_HELD_BYTES", 10)
    doors = Admission()
    doors.hold(6)
    with pytest.raises(Rejected, match="Too many large requests"):
        doors.hold(5)
    doors.hold(4)
    assert doors.held_bytes == 10
