from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.serving.__main__ import _number

REPO = Path(__file__).parents[3]


def test_numbers_from_the_environment() -> None:
    assert _number({"A": "0.5"}, "A", 2.0) == 0.5
    assert _number({"A": ""}, "A", 2.0) == 2.0
    assert _number({}, "A", 2.0) == 2.0
    with pytest.raises(
        ConfigError, match=r"^A must be a number, got 'soon'\. Correct it, or unset"
    ):
        _number({"A": "soon"}, "A", 2.0)


def test_a_wrong_setting_is_a_sentence_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "include.serving"],
        cwd=REPO,
        env={**os.environ, "FLYWHEEL_SERVING_PORT": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FLYWHEEL_SERVING_PORT: must be a port from 1 to 65535, got 'none'" in done.stderr
    assert "Traceback" not in done.stderr
