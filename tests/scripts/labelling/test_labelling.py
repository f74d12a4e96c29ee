"""Label Studio beside the stack: its environment, its variables, and what `up` and `down` do."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from include.errors import ConfigError, ServiceUnavailable
from scripts.labelling import __main__ as command_line
from scripts.labelling import environment
from scripts.labelling.environment import LOCK, install, part, variables
from scripts.labelling.labelling import Labelling
from scripts.labelling.place import LabellingPlace
from scripts.stack import secret_files
from scripts.stack.environment import airflow_environment
from scripts.stack.settings import StackSettings
from tests.architecture.test_requirements import locked

STANDS_IN = """\
#!{python}
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()

port = int(sys.argv[sys.argv.index("--port") + 1])
host = sys.argv[sys.argv.index("--internal-host") + 1]
http.server.HTTPServer((host, port), Handler).serve_forever()
"""


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    found = StackSettings(home=tmp_path / "home", labelling_port=port)
    secret_files.ensure(found)
    return found


@pytest.fixture
def place(settings: StackSettings) -> LabellingPlace:
    return LabellingPlace.of(settings)


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in uv's place that notes what it is told; return the note."""
    note, program = tmp_path / "told", tmp_path / "uv"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {note}\n'
        'if [ "$1" = venv ]; then for last; do :; done\n'
        'mkdir -p "$last/bin"; touch "$last/bin/python"; fi\n'
        f"if [ -e {tmp_path}/fails ]; then echo no route to the registry >&2; exit 2; fi\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(environment, "program", lambda name: str(program))
    return note


def stand_in(place: LabellingPlace, status: int = 200) -> None:
    """Put a small server where Label Studio would be installed."""
    program = place.environment / "bin" / "label-studio"
    program.parent.mkdir(parents=True)
    program.write_text(STANDS_IN.format(python=sys.executable, status=status))
    program.chmod(0o755)


@pytest.fixture
def labelling(settings, monkeypatch):
    monkeypatch.setattr("scripts.labelling.labelling.install", lambda place: False)
    found = Labelling(settings, say=lambda line: None)
    yield found
    found.down()


def test_its_lock_has_hashes_and_the_version_that_is_asked_for():
    pins = locked(LOCK.read_text())

    assert f"label-studio=={pins['label-studio'][0][0]}" in LOCK.with_suffix(".in").read_text()
    assert len(pins) > 100
    assert [name for name, found in pins.items() if not all(hashes for _, hashes in found)] == []


def test_it_is_installed_once_and_again_when_the_lock_has_changed(place, uv, tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1")

    assert install(place, lock) is True
    assert install(place, lock) is False
    made, synced = uv.read_text().splitlines()
    assert made == f"venv --python {sys.executable} {place.environment}"
    own = f"--python {place.environment}/bin/python {lock}"
    assert synced == f"pip sync --compile-bytecode --require-hashes {own}"
    lock.write_text("a==2")
    assert install(place, lock) is True
    assert len(uv.read_text().splitlines()) == 3


def test_an_installation_that_failed_is_tried_again(place, uv, tmp_path):
    (tmp_path / "fails").touch()
    with pytest.raises(ServiceUnavailable, match="not installed: no route to the registry"):
        install(place)
    (tmp_path / "fails").unlink()
    assert install(place) is True


def test_it_is_given_its_own_secrets_and_nothing_of_the_caller(settings, place, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the lake")
    given = variables(settings, place)

    assert "AWS_SECRET_ACCESS_KEY" not in given
    assert given["LABEL_STUDIO_USER_TOKEN"] == secret_files.read(settings, "label_studio_token")
    assert given["LABEL_STUDIO_PASSWORD"] == secret_files.read(settings, "label_studio_password")
    assert given["LABEL_STUDIO_BASE_DATA_DIR"].startswith(str(settings.home))
    assert given["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"
    command = part(settings, place).command
    assert command[command.index("--internal-host") + 1] == "127.0.0.1"
    assert not {given["LABEL_STUDIO_USER_TOKEN"], given["LABEL_STUDIO_PASSWORD"]} & {*command}


def test_the_secrets_are_made_anew_for_each_stack_and_are_the_owners_alone(settings, tmp_path):
    other = StackSettings(home=tmp_path / "other")
    secret_files.ensure(other)
    for name in ("label_studio_token", "label_studio_password"):
        assert secret_files.read(settings, name) != secret_files.read(other, name)
        assert stat.S_IMODE((settings.secrets / name).stat().st_mode) == 0o600
    assert len(secret_files.read(settings, "label_studio_token")) == 40


def test_tasks_reach_it_by_a_connection_that_the_stack_makes(settings):
    connection = json.loads(airflow_environment(settings, {})["AIRFLOW_CONN_LABEL_STUDIO"])

    assert connection == {
        "conn_type": "http", "host": "127.0.0.1", "port": settings.labelling_port,
        "password": secret_files.read(settings, "label_studio_token"),
    }  # fmt: skip


def test_it_starts_is_found_again_and_stops(settings, place, labelling, capsys, monkeypatch):
    stand_in(place)
    labelling.up()
    assert labelling.status().healthy
    told: list[str] = []
    Labelling(settings, say=told.append).up()
    assert told == ["Label Studio is up already."]
    assert stat.S_IMODE(place.data.stat().st_mode) == 0o700

    monkeypatch.setenv("FLYWHEEL_HOME", str(settings.home))
    monkeypatch.setenv("FLYWHEEL_LABELLING_PORT", str(place.port))
    assert command_line.main(["up"]) == 0
    shown = capsys.readouterr().out
    assert place.url in shown
    assert secret_files.read(settings, "label_studio_password") not in shown
    assert command_line.main(["down"]) == 0
    assert "Stopped: label-studio" in capsys.readouterr().out
    assert not labelling.status().running


def test_one_that_does_not_answer_is_stopped_again_with_the_end_of_its_log(place, labelling):
    stand_in(place, status=500)
    with pytest.raises(ServiceUnavailable, match=r"answers 500 at .*/health.*label-studio\.log"):
        labelling.up(healthy_within_s=4)
    assert not labelling.status().running


def test_a_port_that_is_taken_is_told_with_what_to_set(place, labelling):
    import socket

    stand_in(place)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", place.port))
        listener.listen()
        with pytest.raises(ConfigError, match="set FLYWHEEL_LABELLING_PORT"):
            labelling.up()


def test_nothing_is_stopped_where_nothing_was(tmp_path, capsys):
    never = Labelling(StackSettings(home=tmp_path / "never"))
    assert never.down() == []
    assert not os.path.lexists(tmp_path / "never")
