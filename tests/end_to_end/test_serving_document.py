"""docs/serving.md as a reader uses it: each command and program, against a server of flights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.serving_load import served_here
from benchmarks.serving_world import DERIVED, flights
from include.settings import REPO
from tests.support.commands import commands_of, run

pytestmark = pytest.mark.end_to_end

DOCUMENT = (REPO / "docs" / "serving.md").read_text()
COMMANDS = commands_of(DOCUMENT)
PROGRAMS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
WRITTEN = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the server; gives its address, and the environment of who uses it."""
    with (
        flights(tmp_path_factory.mktemp("flights"), [DERIVED]) as world,
        served_here(world) as url,
    ):
        yield url, {**os.environ, **world.environment}


def here(text: str, url: str) -> str:
    assert WRITTEN in text
    return text.replace(WRITTEN, url)


def test_the_calls_are_answered_alike(served: tuple[str, dict[str, str]]) -> None:
    url, env = served
    (call,) = [command for command in COMMANDS if command.startswith("curl")]
    said = httpx.Response(200, text=run(here(call, url), env)).json()
    (program,) = PROGRAMS
    done = subprocess.run(
        [sys.executable, "-c", here(program, url)],
        cwd=REPO, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{said['predictions']} {said['scores']} ['1']\n"
    assert set(said["failed_joins"]) == {"planes", "weather"}, "the register lacks this aircraft"


def test_the_model_is_exported_and_scores_elsewhere(
    served: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    env = {**served[1], "HOME": str(tmp_path)}
    make, example = (
        next(one for one in COMMANDS if one.startswith(start)) for start in ("make export", "cd ")
    )
    assert "equal those of the registered version" in run(make, env)
    elsewhere = example.replace("python ", f"{sys.executable} -I ")
    expected = json.loads((tmp_path / "flight_delays" / "example.json").read_text())["scores"]
    np.testing.assert_allclose(json.loads(run(elsewhere, env)), expected, rtol=1e-9)


def test_keys_are_made_listed_and_revoked(served: tuple[str, dict[str, str]]) -> None:
    url, env = served
    make, show, revoke = (one for one in COMMANDS if one.startswith("make") and "key" in one)
    key = run(make, env).split()[-1]
    listed = run(show, env)
    (number,) = re.findall(r"\b[0-9a-f]{8}\b", listed)
    assert "billing" in listed
    (call,) = [command for command in COMMANDS if command.startswith("curl")]
    assert "UNAUTHENTICATED" in run(here(call, url), env)
    with_key = here(call, url).replace("curl ", f"curl -H 'Authorization: Bearer {key}' ", 1)
    assert "predictions" in run(with_key, env)
    (written,) = re.findall(r"ID=(\w+)", revoke)
    run(revoke.replace(written, number), env)
    assert "UNAUTHENTICATED" in run(with_key, env)
