"""The lock is of what is asked for, hashed; and what is held back says why."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parents[2]
ASKED = (REPO / "requirements.in").read_text().splitlines()
LOCK = (REPO / "requirements.txt").read_text()
HELD_BACK = {"<", "<=", "==", "~=", "!="}


def asked() -> list[Requirement]:
    return [Requirement(line) for line in ASKED if line and not line.startswith("#")]


def locked(text: str) -> dict[str, list[tuple[str, int]]]:
    """Return version and number of hashes of each pin; a universal lock may pin a name twice."""
    pins: dict[str, list[tuple[str, int]]] = {}
    for block in re.split(r"\n(?=\S)", text):
        if pin := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", block):
            hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block))
            pins.setdefault(canonicalize_name(pin[1]), []).append((pin[2], hashes))
    return pins


def unexplained(lines: list[str]) -> list[str]:
    """Return the pins that hold a package back and have no comment right above them."""
    wrong = []
    for above, line in zip(["", *lines], lines, strict=False):
        if not line or line.startswith("#"):
            continue
        held = {one.operator for one in Requirement(line).specifier} & HELD_BACK
        if held and not above.startswith("#"):
            wrong.append(line)
    return wrong


@pytest.mark.parametrize("requirement", asked(), ids=lambda requirement: requirement.name)
def test_what_is_asked_for_is_locked_with_hashes(requirement):
    pins = locked(LOCK).get(canonicalize_name(requirement.name))
    assert pins, f"{requirement.name} is not in requirements.txt: run `make lock`"
    for pinned, hashes in pins:
        assert requirement.specifier.contains(pinned, prereleases=True), (
            f"requirements.txt has {requirement.name} {pinned}, asked for is {requirement}: "
            "run `make lock`"
        )
        assert hashes, f"requirements.txt has no hash of {requirement.name}: run `make lock`"


def test_everything_in_the_lock_has_a_hash():
    pins = locked(LOCK)
    assert len(pins) > 100
    assert [name for name, found in pins.items() if not all(hashes for _, hashes in found)] == []


def test_what_is_installed_is_what_is_locked():
    pins = locked(LOCK)
    for requirement in asked():
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            pytest.fail(f"{requirement.name} is not installed: run `make venv`")
        assert installed in {pinned for pinned, _ in pins[canonicalize_name(requirement.name)]}, (
            f"{requirement.name}: installed {installed}, another is locked: run `make venv`"
        )


def test_the_locks_reader_sees_what_is_wrong():
    text = (
        "one==1.0 \\\n    --hash=sha256:"
        + "a" * 64
        + "\n    # via x\ntwo==2.0 ; python_version < '3'\n"
    )
    assert locked(text) == {"one": [("1.0", 1)], "two": [("2.0", 0)]}


def test_a_pin_that_holds_back_says_why():
    assert unexplained(ASKED) == [], "write above it why it is held back and when it can go"


def test_a_pin_without_a_word_is_seen():
    lines = ["# why", "one<2", "two<3", "three>=1", "", "four==4", "# why", "", "five~=5.0"]
    assert unexplained(lines) == ["two<3", "four==4", "five~=5.0"]
