import json
import os
import signal
import subprocess
import sys
import time

import pytest

from scripts.stack import keep

BEAT_S = 0.05


def until(condition, within_s=10.0):
    """Wait for what another process does; its last answer."""
    end = time.monotonic() + within_s
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(BEAT_S)
    return answer


@pytest.fixture
def start(tmp_path):
    """Start a keeper as the manager does: isolated, in a session of its own."""
    started = []

    def start(code, manager=None):
        command = [sys.executable, "-I", "-S", keep.__file__, "--log", str(tmp_path / "part.log")]
        command += [
            "--state",
            str(tmp_path / "part.json"),
            "--manager",
            str(manager or os.getpid()),
        ]
        command += ["--", sys.executable, "-c", code]
        started.append(subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def state(tmp_path):
    try:
        return json.loads((tmp_path / "part.json").read_text())
    except FileNotFoundError:
        return {}


def test_a_part_that_is_killed_comes_back(start, tmp_path):
    start("import time; time.sleep(60)")
    first = until(lambda: state(tmp_path).get("pid"))

    os.kill(first, signal.SIGKILL)

    assert until(lambda: state(tmp_path)["phase"] == "running" and state(tmp_path)["restarts"] == 1)
    assert state(tmp_path)["last_exit"] == -signal.SIGKILL
    assert state(tmp_path)["pid"] != first
    assert "ended with exit code -9; restart 1 in 1 s" in (tmp_path / "part.log").read_text()


def test_restarts_come_slower_and_slower(start, tmp_path):
    start("raise SystemExit(3)")

    assert until(lambda: state(tmp_path).get("restarts") == 3)
    told = (tmp_path / "part.log").read_text().splitlines()
    assert [line.partition("ended ")[2] for line in told] == [
        "with exit code 3; restart 1 in 1 s",
        "with exit code 3; restart 2 in 2 s",
        "with exit code 3; restart 3 in 4 s",
    ]


def test_sigterm_to_the_group_ends_part_and_keeper(start, tmp_path):
    keeper = start("import time; time.sleep(60)")
    pid = until(lambda: state(tmp_path).get("pid"))

    os.killpg(keeper.pid, signal.SIGTERM)

    assert keeper.wait(timeout=10) == 0
    assert state(tmp_path)["phase"] == "stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_sigterm_while_it_waits_to_restart_ends_it_at_once(start, tmp_path):
    keeper = start("raise SystemExit(1)")
    until(lambda: state(tmp_path).get("restarts") == 2)  # waits 2 s now

    began = time.monotonic()
    os.killpg(keeper.pid, signal.SIGTERM)

    assert keeper.wait(timeout=10) == 0
    assert time.monotonic() - began < 1.5


def test_without_a_manager_nothing_is_started_again(start, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    keeper = start("raise SystemExit(1)", manager=gone.pid)

    assert keeper.wait(timeout=10) == 0
    assert state(tmp_path)["restarts"] == 0


def test_output_goes_to_the_log_and_the_log_before_it_is_kept(start, tmp_path):
    (tmp_path / "part.log").write_text("the run before\n")

    start("import time; print('hello', flush=True); time.sleep(60)")

    assert until(lambda: "hello" in (tmp_path / "part.log").read_text())
    assert (tmp_path / "part.log.1").read_text() == "the run before\n"


def test_the_standard_library_is_all_it_needs():
    """Isolated and without site-packages it starts, and small: there is one for each part."""
    command = [sys.executable, "-I", "-S", keep.__file__, "--help"]

    assert subprocess.run(command, capture_output=True).returncode == 0
