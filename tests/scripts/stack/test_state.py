"""What a crash, a full disk or an editor can leave in the `run` folder."""

import json
import os
import subprocess
import sys

import pytest

from scripts.stack import processes
from scripts.stack.__main__ import main
from scripts.stack.parts import NAMES
from scripts.stack.settings import MARKER, PORTS
from scripts.stack.stack import Stack
from scripts.stack.state import Record, RunFolder

GOOD = {"phase": "running", "pid": 1, "started_at": 0.0, "restarts": 0, "last_exit": None}
NOT_JSON = {
    "empty": b"",
    "half-written": b'{"phase": "running", "pi',
    "no JSON": b"hello",
    "no text": b"\xff\xfe\x00",
    "NUL bytes": b"\0" * 40,
    "nested without end": b"[" * 100_000,
}
NO_OBJECT = {"list": b"[1, 2]", "number": b"7", "null": b"null", "text": b'"running"'}
WRONG_KEYS = {
    "no keys": b"{}",
    "other keys": b'{"name": "serving"}',
    "a pid in words": json.dumps({**GOOD, "pid": "12"}).encode(),
    "no process has it": json.dumps({**GOOD, "pid": -1}).encode(),
    "too large": json.dumps({**GOOD, "pid": 10**30}).encode(),
    "a boolean": json.dumps({**GOOD, "restarts": True}).encode(),
}
TORN = {**NOT_JSON, **NO_OBJECT, **WRONG_KEYS}
OF_EACH_KIND = ["empty", "half-written", "list", "no keys", "too large"]


@pytest.fixture
def environment(settings, monkeypatch):
    """Let the command line find the same stack."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(settings.home))
    for variable, port in settings.ports.items():
        monkeypatch.setenv(variable, str(port))


@pytest.fixture
def left(settings):
    """Start a process of this home, as a killed manager leaves them."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, MARKER: str(settings.home)},
    )
    yield process
    process.kill()
    process.wait()


def torn(test):
    return pytest.mark.parametrize(
        "content", [TORN[kind] for kind in OF_EACH_KIND], ids=OF_EACH_KIND
    )(test)


@torn
def test_a_damaged_record_of_a_part_is_told_and_down_stops_all(
    settings, environment, left, capsys, content
):
    (settings.run / "serving.json").write_bytes(content)

    assert main(["status"]) == 1

    said = capsys.readouterr().out
    words = f"  serving        unknown: {settings.run / 'serving.json'} is damaged: "
    assert words in said
    assert "Run `make down`, then `make up`" in said
    assert main(["down"]) == 0
    assert left.wait(timeout=5) != 0
    assert processes.of_home(settings.home) == []
    assert not (settings.run / "serving.json").exists()


@torn
def test_a_damaged_record_of_the_manager_is_told_and_down_stops_all(
    settings, environment, left, capsys, content
):
    (settings.run / "stack.json").write_bytes(content)

    assert main(["status"]) == 1

    said = capsys.readouterr().out
    assert f"{settings.run / 'stack.json'} is damaged: " in said
    assert "Which process manages the stack is unknown. `make up` stops what is left" in said
    assert main(["down"]) == 0
    assert left.wait(timeout=5) != 0


@torn
def test_up_stops_what_it_finds_beside_damaged_records(settings, left, monkeypatch, content):
    """As far as the databases, which are not prepared here."""
    for name in ("stack", *NAMES):
        (settings.run / f"{name}.json").write_bytes(content)
    said = []

    def no_further(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("scripts.stack.bootstrap.prepare", no_further)
    with pytest.raises(KeyboardInterrupt):
        Stack(settings, say=said.append).up()

    assert said[0] == "An earlier stack was not stopped in order; stopping what is left of it."
    assert left.wait(timeout=5) != 0
    assert list(settings.run.glob("*.json")) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is not JSON (Expecting value: line 1 column 1 (char 0))"),
        (b"[]", "it holds a list, not an object"),
        (b'{"pid": 1}', "no usable 'phase', 'started_at', 'restarts', 'last_exit' in it"),
        (json.dumps({**GOOD, "pid": 0}).encode(), "no usable 'pid' in it"),
    ],
)
def test_what_is_wrong_is_said(settings, content, words):
    file = settings.run / "mlflow.json"
    file.write_bytes(content)

    assert RunFolder(settings.home, settings.run, PORTS).record("mlflow") == Record(
        damage=f"{file} is damaged: {words}"
    )


@pytest.mark.parametrize("content", TORN.values(), ids=TORN.keys())
def test_whatever_stands_in_a_record_is_read_as_damage(settings, content):
    for name in ("stack", "mlflow"):
        (settings.run / f"{name}.json").write_bytes(content)
    run = RunFolder(settings.home, settings.run, PORTS)

    assert run.record("mlflow").facts == run.stack().facts == {}
    assert "is damaged: " in run.record("mlflow").damage
    assert "is damaged: " in run.stack().damage
    assert run.manager() is None
    assert Stack(settings).settings == settings


def test_a_folder_in_place_of_a_record_is_damage_too(settings):
    (settings.run / "mlflow.json").mkdir()

    assert "Is a directory" in RunFolder(settings.home, settings.run, PORTS).record("mlflow").damage


def test_a_good_record_is_read_and_a_missing_one_is_no_damage(settings):
    (settings.run / "mlflow.json").write_text(json.dumps(GOOD))

    assert RunFolder(settings.home, settings.run, PORTS).record("mlflow") == Record(facts=GOOD)
    assert RunFolder(settings.home, settings.run, PORTS).record("serving") == Record()


def test_the_managers_record_is_replaced_whole(settings, monkeypatch):
    """A crash between the draft and its new name leaves the record before it."""
    run = RunFolder(settings.home, settings.run, PORTS)
    run.write(settings, os.getpid())
    before = (settings.run / "stack.json").read_text()

    def crash(path, target):
        raise OSError("power failure")

    monkeypatch.setattr("pathlib.Path.rename", crash)
    with pytest.raises(OSError, match="power failure"):
        run.write(settings, os.getppid())

    assert (settings.run / "stack.json").read_text() == before
    assert run.manager().pid == os.getpid()
    assert Stack(settings).settings == settings
    assert set(PORTS) <= set(json.loads(before))
