from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[3]


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
