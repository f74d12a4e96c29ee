import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from include.errors import ConfigError
from scripts.stack import processes
from scripts.stack.settings import HOST, MARKER, REPO

SLEEP = "import time; time.sleep(60)"
DEAF = (
    f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEP}"
)


@pytest.fixture
def marked(tmp_path):
    """Start Python code that carries the mark of a home; killed at the end in any case."""
    started = []

    def start(code, home=tmp_path):
        env = {**os.environ, MARKER: str(home), "SPT_NOENV": "1"}
        started.append(
            subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def pids(home):
    return {process.pid for process in processes.of_home(home)}


def test_marked_processes_are_found_and_others_are_not(marked, tmp_path):
    ours, other = marked(SLEEP), marked(SLEEP, home=tmp_path / "other")

    assert pids(tmp_path) == {ours.pid}
    assert pids(tmp_path / "other") == {other.pid}


def test_a_grandchild_in_a_session_of_its_own_is_found_after_its_parent_died(marked, tmp_path):
    parent = marked(
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c',"
        f" {SLEEP!r}], start_new_session=True).pid, flush=True); {SLEEP}"
    )
    grandchild = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    assert pids(tmp_path) == {grandchild}
    processes.sweep(tmp_path, grace_s=5)
    assert pids(tmp_path) == set()


def test_a_process_title_does_not_wipe_the_mark(marked, tmp_path):
    child = marked(
        f"import setproctitle as s; s.setproctitle('x' * 500); print(1, flush=True); {SLEEP}"
    )
    child.stdout.readline()

    assert pids(tmp_path) == {child.pid}


def test_the_caller_and_its_parents_are_spared(tmp_path):
    code = (
        "from pathlib import Path; from scripts.stack import processes;"
        f"print(processes.sweep(Path({str(tmp_path)!r}), grace_s=1))"
    )
    env = {**os.environ, MARKER: str(tmp_path)}
    command = ["sh", "-c", '"$1" -c "$2"; exit 7', "sh", sys.executable, code]

    done = subprocess.run(command, env=env, cwd=REPO, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (7, "[]\n")


def test_sweep_asks_first_and_kills_who_does_not_hear(marked, tmp_path):
    willing, deaf = marked(SLEEP), marked(DEAF)
    deaf.stdout.readline()

    stopped = processes.sweep(tmp_path, grace_s=1)

    assert len(stopped) == 2
    assert willing.wait() == -signal.SIGTERM
    assert deaf.wait() == -signal.SIGKILL


def test_sweep_of_nothing_returns_at_once(tmp_path):
    began = time.monotonic()

    assert processes.sweep(tmp_path, grace_s=30) == []
    assert time.monotonic() - began < 5


def test_memory_is_that_of_the_marked_processes(marked, tmp_path):
    assert processes.memory_bytes(tmp_path) == 0
    child = marked(f"data = bytearray(50_000_000); print(1, flush=True); {SLEEP}")
    child.stdout.readline()

    assert 50_000_000 < processes.memory_bytes(tmp_path) < 100_000_000


def test_free_ports_pass(settings):
    assert processes.check_ports(settings) is None


def test_a_taken_port_is_named_with_its_variable_and_its_holder(settings):
    with socket.socket() as listener:
        listener.bind((HOST, settings.mlflow_port))
        listener.listen()

        with pytest.raises(ConfigError) as error:
            processes.check_ports(settings)

    words = str(error.value)
    assert f"127.0.0.1:{settings.mlflow_port} (Address already in use" in words
    assert "set FLYWHEEL_MLFLOW_PORT, to a free port" in words
    assert "FLYWHEEL_AIRFLOW_PORT" not in words
    if sys.platform == "linux":
        assert f"held by process {os.getpid()}" in words
