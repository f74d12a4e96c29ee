"""The real Label Studio, on a home of its own, with a browser in front of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.hooks.label_studio import LabelStudioHook
from scripts.labelling.labelling import Labelling
from scripts.stack import secret_files
from scripts.stack.settings import HOST, StackSettings
from tests.support.browser import browser_page

HOME, PORT = "LABEL_STUDIO_TEST_HOME", "LABEL_STUDIO_TEST_PORT"
"""The home of a stack whose Label Studio these tests use, and its port. It is left running, and its
projects are deleted. Without them the tests install and start one, which takes minutes."""


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> StackSettings:
    if home := os.environ.get(HOME):
        return StackSettings(home=Path(home), labelling_port=int(os.environ[PORT]))
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port = listener.getsockname()[1]
    return StackSettings(home=tmp_path_factory.mktemp("stack"), labelling_port=port)


@pytest.fixture(scope="session")
def labelling(settings: StackSettings) -> Iterator[Labelling]:
    found = Labelling(settings, say=print)
    found.up()
    try:
        yield found
    finally:
        if HOME not in os.environ:
            found.down()


@pytest.fixture
def connection(labelling: Labelling, settings: StackSettings) -> dict[str, Any]:
    token = secret_files.read(settings, "label_studio_token")
    return {"conn_type": "http", "host": HOST, "port": labelling.place.port, "password": token}


@pytest.fixture
def hook(connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> LabelStudioHook:
    """Give a client of an empty Label Studio."""
    monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection))
    found = LabelStudioHook("labels")
    for project in found.ask("GET", "api/projects/", params={"page_size": 100})["results"]:
        found.ask("DELETE", f"api/projects/{project['id']}/")
    return found


@pytest.fixture
def page(labelling: Labelling, settings: StackSettings) -> Iterator[Any]:
    """Open a browser in which the first user has logged in."""
    with browser_page(height=860) as opened:
        opened.set_default_timeout(60_000)
        opened.goto(f"{labelling.place.url}/user/login/")
        opened.fill("input[name=email]", secret_files.LABEL_STUDIO_USER)
        password = secret_files.read(settings, "label_studio_password")
        opened.fill("input[name=password]", password)
        opened.click("button[type=submit]")
        opened.wait_for_url(lambda url: "/user/login" not in url)
        yield opened
