import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest

from include.errors import ConfigError
from scripts.stack import processes
from scripts.stack.__main__ import main
from scripts.stack.parts import HEALTHY
from scripts.stack.settings import HOST, MARKER, StackSettings
from scripts.stack.stack import Stack


@pytest.fixture
def stack(tmp_path):
    """Make a stack that was never up."""
    return Stack(StackSettings.on_free_ports(tmp_path / "home"))


@pytest.fixture
def environment(stack, monkeypatch):
    """Let the command line find the same stack."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(stack.settings.home))
    for variable, port in stack.settings.ports.items():
        monkeypatch.setenv(variable, str(port))


def test_down_of_what_is_not_up_says_so_and_succeeds(stack, environment, capsys):
    assert main(["down"]) == 0

    assert capsys.readouterr().out == "The stack is not up; nothing to stop.\n"
    assert not stack.settings.home.exists(), "looking must leave nothing behind"


def test_status_of_what_is_not_up_fails_and_says_how_to_start(stack, environment, capsys):
    assert main(["status"]) == 1

    expected = f"The stack is not up (home {stack.settings.home}). Start it with `make up`.\n"
    assert capsys.readouterr().out == expected
    assert not stack.status().healthy


def test_logs_before_the_first_up_say_so(stack, environment, capsys):
    assert main(["logs"]) == 1

    assert f"There are no logs in {stack.settings.logs}." in capsys.readouterr().out


def test_a_taken_port_stops_up_before_anything_is_made(stack, environment, capsys):
    with socket.socket() as listener:
        listener.bind((HOST, stack.settings.serving_port))
        listener.listen()

        assert main(["up"]) == 1

    assert "set FLYWHEEL_SERVING_PORT" in capsys.readouterr().err
    assert not stack.settings.secrets.exists()


def test_two_at_once_do_not_race(stack, environment, capsys):
    stack.settings.run.mkdir(parents=True)
    with (stack.settings.run / "lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert main(["up"]) == 1

    words = (
        f"Another `up` or `down` of {stack.settings.home} is at work (process 4711). Wait for it"
    )
    assert words in capsys.readouterr().err


def test_login_before_the_first_up_says_what_to_do(stack):
    with pytest.raises(ConfigError, match=re.escape("the stack was never up. Run `make up`.")):
        stack.login()


def test_the_password_is_in_no_repr(settings):
    login = Stack(settings).login()

    assert login.password == json.loads(settings.password_file.read_text())["admin"]
    assert login.password not in repr(login)


def test_the_ports_of_a_stack_that_runs_count_not_those_of_the_caller(settings, tmp_path):
    (settings.run / "stack.json").write_text(
        json.dumps(
            {
                "pid": 1,
                "created": 0.0,
                "airflow_port": 1001,
                "mlflow_port": 1002,
                "serving_port": 1003,
                "log_port": 1004,
            }
        )
    )

    assert Stack(settings).addresses() == {
        "Airflow": "http://127.0.0.1:1001",
        "MLflow": "http://127.0.0.1:1002",
        "serving": "http://127.0.0.1:1003",
    }


def test_another_process_with_the_managers_id_is_not_the_manager(settings):
    stack = Stack(settings)
    stack._run.write(settings, os.getpid())
    assert stack._run.manager().pid == os.getpid()

    state = json.loads((settings.run / "stack.json").read_text())
    (settings.run / "stack.json").write_text(
        json.dumps({**state, "created": state["created"] - 60})
    )

    assert stack._run.manager() is None


def test_what_a_killed_manager_left_is_told_and_taken_down(settings):
    stack = Stack(settings)
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, MARKER: str(settings.home)},
    )
    (settings.run / "serving.json").write_text(
        json.dumps(
            {
                "phase": "running",
                "pid": left.pid,
                "started_at": 0.0,
                "restarts": 2,
                "last_exit": -9,
            }
        )
    )

    status = stack.status()
    assert not status.running
    assert status.restarts == {"serving": (2, -9)}
    assert status.parts["scheduler"] == "does not run"
    assert status.manager.startswith("The stack's manager was killed. The parts run on")

    assert stack.down() == ["serving", "0 helper processes"]
    assert left.wait(timeout=5) != 0
    assert stack.status().parts == {}


def test_another_process_on_a_parts_port_is_told_with_its_id_and_not_healthy(
    settings, monkeypatch, capsys
):
    """It answers 200 as MLflow does; the record says that MLflow is another process."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(settings.home))
    for variable, port in settings.ports.items():
        monkeypatch.setenv(variable, str(port))
    code = (
        "import http.server\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.end_headers()\n"
        f"http.server.HTTPServer(('{HOST}', {settings.mlflow_port}), Handler).serve_forever()\n"
    )
    part = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, MARKER: str(settings.home)},
    )
    stranger = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    facts = {"phase": "running", "pid": part.pid, "started_at": 0.0, "restarts": 0}
    record = settings.run / "mlflow.json"
    try:
        while not processes.foreign_listeners({settings.mlflow_port: part.pid}):
            time.sleep(0.05)
        record.write_text(json.dumps({**facts, "last_exit": None}))
        assert main(["status"]) == 1
        words = f"its port {settings.mlflow_port} is held by process {stranger.pid} ("
        assert f"  mlflow         {words}" in capsys.readouterr().out

        record.write_text(json.dumps({**facts, "phase": "waiting", "last_exit": 1}))
        assert Stack(settings).status().parts["mlflow"].startswith(f"does not run; {words}")

        record.write_text(json.dumps({**facts, "pid": stranger.pid, "last_exit": None}))
        assert Stack(settings).status().parts["mlflow"] == HEALTHY
    finally:
        for process in (part, stranger):
            process.kill()
            process.wait()
