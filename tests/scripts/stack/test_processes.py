import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil
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
    for left in (tmp_path, tmp_path / "other"):
        processes.sweep(left, grace_s=0)  # children of those that were killed


def log(tmp_path):
    file = tmp_path / "part.log"
    return file.read_text() if file.exists() else ""


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


@pytest.fixture
def unmarked(tmp_path):
    """Start a session without a mark, as nginx shows itself: a leader and its child."""
    code = (
        "import subprocess, sys;"
        f" child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]);"
        f" print(child.pid, flush=True); {SLEEP}"
    )
    started_at = time.time()
    leader = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    child = int(leader.stdout.readline())
    (tmp_path / "run").mkdir()

    def note(**facts):
        record = {"phase": "running", "pid": leader.pid, "started_at": started_at, **facts}
        (tmp_path / "run" / "balancer.json").write_text(json.dumps(record))

    note()
    yield leader, child, note
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()
    leader.stdout.close()


def test_a_part_without_its_mark_is_found_by_its_session(unmarked, tmp_path):
    leader, child, _ = unmarked

    assert pids(tmp_path) == {leader.pid, child}
    assert pids(tmp_path / "other") == set()


def test_what_a_killed_part_left_in_its_session_is_found_and_stopped(unmarked, tmp_path):
    leader, child, _ = unmarked
    leader.kill()
    leader.wait()

    assert pids(tmp_path) == {child}
    processes.sweep(tmp_path, grace_s=5)
    assert pids(tmp_path) == set()


@pytest.mark.parametrize("started_at", [time.time() - 3600, 1.0])
def test_a_later_process_with_the_number_of_a_part_is_left_alone(unmarked, tmp_path, started_at):
    """The note is an hour older than the process, or older than this system's start."""
    unmarked[2](started_at=started_at)

    assert pids(tmp_path) == set()


def test_a_damaged_note_is_no_reason_to_stop_anything(unmarked, tmp_path):
    (tmp_path / "run" / "balancer.json").write_text("{")
    (tmp_path / "run" / "stack.json").write_text("[]")

    assert pids(tmp_path) == set()


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


def test_sweep_tells_supervisors_first_and_leaves_their_parts_to_them(
    marked, tmp_path, monkeypatch
):
    """Airflow breaks off its orderly end at a second SIGTERM: its keeper sends the only one."""
    told = tmp_path / "told"
    part = (
        "import signal, sys, time; "
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(told)!r}, 'a').write('SIGTERM '), "
        f"time.sleep(1), sys.exit())); print(1, flush=True); {SLEEP}"
    )
    command = ["-I", "-S", str(processes.KEEPER), "--log", str(tmp_path / "part.log")]
    command += ["--state", str(tmp_path / "part.json"), "--", sys.executable, "-c", part]
    keeper = marked(f"import os, sys; os.execv(sys.executable, [sys.executable, *{command!r}])")
    end = time.monotonic() + 10
    while "1" not in log(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)

    swept = []
    terminate = psutil.Process.terminate
    monkeypatch.setattr(
        psutil.Process, "terminate", lambda self: (swept.append(self.pid), terminate(self))
    )

    processes.sweep(tmp_path, grace_s=10)

    assert swept == [keeper.pid]
    assert keeper.wait() == 0
    assert told.read_text() == "SIGTERM "
    assert json.loads((tmp_path / "part.json").read_text())["phase"] == "stopped"


def test_memory_is_that_of_the_marked_processes(marked, tmp_path):
    assert processes.memory_bytes(tmp_path) == 0
    child = marked(f"data = bytearray(50_000_000); print(1, flush=True); {SLEEP}")
    child.stdout.readline()

    assert 50_000_000 < processes.memory_bytes(tmp_path) < 100_000_000


def test_free_ports_pass(settings):
    assert processes.check_ports(settings.ports) is None


def test_a_taken_port_is_named_with_its_variable_and_its_holder(settings):
    with socket.socket() as listener:
        listener.bind((HOST, settings.mlflow_port))
        listener.listen()

        with pytest.raises(ConfigError) as error:
            processes.check_ports(settings.ports)

    words = str(error.value)
    assert f"127.0.0.1:{settings.mlflow_port} (Address already in use" in words
    assert "set FLYWHEEL_MLFLOW_PORT, to a free port" in words
    assert "FLYWHEEL_AIRFLOW_PORT" not in words
    if sys.platform == "linux":
        assert f"held by process {os.getpid()}" in words


LISTENS = (
    "import socket; s = socket.create_server(('127.0.0.1', 0)); "
    f"print(s.getsockname()[1], flush=True); {SLEEP}"
)
LISTENS_IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LISTENS!r}])"


@pytest.fixture(params=["the system's list", "each process's own list"])
def denied(request, monkeypatch):
    """Once as on Linux, and once as on macOS, which shows all connections to root alone."""
    if request.param == "each process's own list":

        def deny(kind):
            raise psutil.AccessDenied

        monkeypatch.setattr(psutil, "net_connections", deny)
    return request.param == "each process's own list"


@pytest.mark.parametrize("code", [LISTENS, LISTENS_IN_A_CHILD], ids=["itself", "in a child"])
def test_a_part_that_listens_on_its_port_is_no_stranger(marked, denied, code):
    part = marked(code)
    port = int(part.stdout.readline())

    assert processes.foreign_listeners({port: part.pid}) == {}


@pytest.mark.parametrize("part_runs", [True, False])
def test_another_process_on_the_port_of_a_part_is_named(marked, denied, part_runs):
    stranger, part = marked(LISTENS), marked(SLEEP)
    port = int(stranger.stdout.readline())

    found = processes.foreign_listeners({port: part.pid if part_runs else None})

    who = f"process {stranger.pid} ({sys.executable} -c import socket"
    assert found[port].startswith("another process (this system" if denied else who)


def test_a_child_that_outlived_its_part_is_a_stranger(marked, denied):
    """`mlflow server` was two processes: when the first was killed the second went on answering."""
    part = marked(LISTENS_IN_A_CHILD)
    port = int(part.stdout.readline())
    child = psutil.Process(part.pid).children()[0]
    part.kill()
    part.wait()

    found = processes.foreign_listeners({port: part.pid})

    child.kill()
    assert ("another process" if denied else f"process {child.pid} (") in found[port]


def test_a_port_on_which_nobody_listens_has_no_stranger(settings, denied):
    assert processes.foreign_listeners(dict.fromkeys(settings.ports.values())) == {}


def test_a_process_of_another_user_is_said_to_be_one(settings, monkeypatch):
    """The system's list has no process id then."""
    with socket.create_server((HOST, settings.mlflow_port)):
        seen = [c._replace(pid=None) for c in psutil.net_connections(kind="tcp")]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: seen)

    found = processes.foreign_listeners({settings.mlflow_port: os.getpid()})

    assert found == {settings.mlflow_port: "a process of another user"}


def test_a_process_that_is_just_ending_is_not_taken_for_another_users(settings, monkeypatch):
    """Killed, it is listed without a process id until its socket is closed."""
    with socket.create_server((HOST, settings.mlflow_port)):
        seen = [c._replace(pid=None) for c in psutil.net_connections(kind="tcp")]
    looks = iter([seen, []])
    monkeypatch.setattr(psutil, "net_connections", lambda kind: next(looks))

    assert processes.foreign_listeners({settings.mlflow_port: os.getpid()}) == {}
