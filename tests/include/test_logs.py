"""One option decides the form of all lines of a server, whoever writes them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from include.errors import SettingsError
from include.settings import REPO, Settings

SCRIPT = """
import logging, warnings
import mlflow  # installs handlers of its own
from structlog.contextvars import bound_contextvars
from include import logs
logs.configure({form!r})
with bound_contextvars(request_id="r1", model_version="3"):
    logging.getLogger("include.serving").warning("of ours %s", 1)
    logging.getLogger("mlflow.tracking").warning("of mlflow")
    logging.getLogger(logs.REQUESTS).info("answered", extra={{"status": 200}})
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("x").exception("failed")
warnings.warn("of python")
"""


def lines(form: str) -> list[str]:
    script = SCRIPT.format(form=form)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def test_each_line_is_a_json_object_with_what_is_bound():
    ours, mlflow, request, failed, warned = map(json.loads, lines("json"))
    for line, event in ((ours, "of ours 1"), (mlflow, "of mlflow"), (request, "answered")):
        assert (line["event"], line["request_id"], line["model_version"]) == (event, "r1", "3")
    assert (ours["level"], ours["logger"], request["status"]) == ("warning", "include.serving", 200)
    assert ours["timestamp"].endswith("Z")
    assert "request_id" not in failed
    assert "ZeroDivisionError: division by zero" in failed["exception"]
    assert "of python" in warned["event"]


def test_lines_for_people_are_as_before_and_have_none_per_request():
    found = "\n".join(lines("text"))
    assert "WARNING include.serving: of ours 1" in found
    assert "answered" not in found
    assert "Traceback" in found


def test_another_form_is_refused():
    with pytest.raises(SettingsError, match="FLYWHEEL_LOG_FORMAT: must be text or json, got 'xml'"):
        Settings.from_env({"FLYWHEEL_LOG_FORMAT": "xml"})
