import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
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

    def start(code, program=sys.executable, stdout=subprocess.DEVNULL):
        command = [sys.executable, "-I", "-S", keep.__file__, "--log", str(tmp_path / "part.log")]
        command += ["--state", str(tmp_path / "part.json"), "--", program, "-c", code]
        started.append(subprocess.Popen(command, start_new_session=True, stdout=stdout))
        return started[-1]

    yield start
    for process in started:
        session = state(tmp_path).get("pid")
        if process.poll() is None:
            process.kill()
            process.wait()
        for pid in [session, *keep.members(session)] if session else []:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def state(tmp_path):
    try:
        return json.loads((tmp_path / "part.json").read_text())
    except FileNotFoundError:
        return {}


def logged(tmp_path):
    file = tmp_path / "part.log"
    return file.read_text() if file.exists() else ""


def test_a_part_that_is_killed_comes_back(start, tmp_path):
    start("import time; time.sleep(60)")
    first = until(lambda: state(tmp_path).get("pid"))

    os.kill(first, signal.SIGKILL)

    assert until(lambda: state(tmp_path)["phase"] == "running" and state(tmp_path)["restarts"] == 1)
    assert state(tmp_path)["last_exit"] == -signal.SIGKILL
    assert state(tmp_path)["pid"] != first
    assert "ended with exit code -9; restart 1 in 1 s" in logged(tmp_path)


def test_restarts_come_slower_and_slower(start, tmp_path):
    start("raise SystemExit(3)")

    assert until(lambda: state(tmp_path).get("restarts") == 3)
    told = logged(tmp_path).splitlines()
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
    assert not runs(pid)


# A part of two processes, as `mlflow server` was: the second one answers, and has the port.
WITH_A_CHILD = """
import os, pathlib, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}], process_group={group})
pathlib.Path({where!r}).write_text(str(child.pid))
time.sleep(60)
"""
SLEEPS = "import time; time.sleep(60)"
IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
DEAF = f"{IGNORES}; {SLEEPS}"


@pytest.mark.parametrize("group", ["None", "0"], ids=["group of the part", "group of its own"])
@pytest.mark.parametrize("child", [SLEEPS, DEAF], ids=["willing", "ignores SIGTERM"])
def test_what_a_killed_part_leaves_is_stopped_before_it_starts_again(start, tmp_path, child, group):
    where = tmp_path / "child"
    start(WITH_A_CHILD.format(child=child, group=group, where=str(where)))
    until(lambda: where.exists() and where.read_text())
    orphan, first = int(where.read_text()), state(tmp_path)["pid"]
    time.sleep(0.5)  # the child ignores SIGTERM by now

    os.kill(first, signal.SIGKILL)

    assert until(lambda: not runs(orphan))
    assert state(tmp_path)["phase"] == "waiting", "it starts only when the port is free"
    assert until(lambda: state(tmp_path)["phase"] == "running" and state(tmp_path)["pid"] != first)
    assert "left 1 processes behind: sending SIGTERM to them" in logged(tmp_path)


@pytest.mark.parametrize("group", ["None", "0"], ids=["group of the part", "group of its own"])
def test_sigterm_ends_the_children_of_a_part_too(start, tmp_path, group):
    where = tmp_path / "child"
    keeper = start(WITH_A_CHILD.format(child=SLEEPS, group=group, where=str(where)))
    until(lambda: where.exists() and where.read_text())

    keeper.terminate()

    assert keeper.wait(timeout=15) == 0
    assert not runs(int(where.read_text()))


def test_a_part_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    """In this process, so that the wait can be short."""
    monkeypatch.setattr(keep, "STOP_S", 1)
    handlers = {
        each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    }
    keeper = keep.Keeper(
        [sys.executable, "-c", f"{IGNORES}; open({str(tmp_path / 'deaf')!r}, 'w'); {SLEEPS}"],
        tmp_path / "part.log",
        tmp_path / "part.json",
    )
    threading.Thread(
        target=lambda: (until((tmp_path / "deaf").exists), os.kill(os.getpid(), signal.SIGTERM))
    ).start()
    began = time.monotonic()
    try:
        keeper.run()
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)

    assert keeper.child.returncode == -signal.SIGKILL
    assert 1 <= time.monotonic() - began < 7


def test_a_second_sigterm_does_not_reach_the_part(start, tmp_path):
    """Airflow's parts break off their orderly end at a second one."""
    told = tmp_path / "told"
    keeper = start(
        "import os, signal, sys, time\n"
        "def once(*_):\n"
        f"    open({str(told)!r}, 'a').write('SIGTERM ')\n"
        "    time.sleep(1.5)\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, once)\n"
        f"open({str(tmp_path / 'ready')!r}, 'w')\n"
        "time.sleep(60)"
    )
    until((tmp_path / "ready").exists)

    keeper.terminate()
    until(told.exists)
    keeper.terminate()

    assert keeper.wait(timeout=10) == 0
    assert told.read_text() == "SIGTERM "


def test_sigterm_while_it_waits_to_restart_ends_it_at_once(start, tmp_path):
    keeper = start("raise SystemExit(1)")
    until(lambda: state(tmp_path).get("restarts") == 2)  # waits 2 s now

    began = time.monotonic()
    os.killpg(keeper.pid, signal.SIGTERM)

    assert keeper.wait(timeout=10) == 0
    assert time.monotonic() - began < 1.5


def test_a_keeper_goes_on_when_nobody_reads_what_it_prints(start, tmp_path):
    """As after `kill -9` of the manager: the part is still restarted."""
    keeper = start("import time; time.sleep(60)", stdout=subprocess.PIPE)
    first = until(lambda: state(tmp_path).get("pid"))
    keeper.stdout.close()

    os.kill(first, signal.SIGKILL)

    assert until(lambda: state(tmp_path)["phase"] == "running" and state(tmp_path)["pid"] != first)
    assert keeper.poll() is None


def test_a_program_that_cannot_be_started_is_tried_again(start, tmp_path):
    keeper = start("", program=str(tmp_path / "nothing"))

    assert until(lambda: state(tmp_path).get("restarts") == 2)
    assert keeper.poll() is None
    assert state(tmp_path)["last_exit"] == 127
    assert "could not be started: [Errno 2]" in logged(tmp_path)


def test_a_state_file_is_replaced_whole(tmp_path):
    """What is not JSON breaks off while it is written: the file before it stays."""
    file = tmp_path / "part.json"
    keep.write_json(file, {"restarts": 1})

    with pytest.raises(TypeError):
        keep.write_json(file, {"restarts": 2, "pid": object()})

    assert json.loads(file.read_text()) == {"restarts": 1}


def test_a_state_that_cannot_be_written_does_not_end_the_part(start, tmp_path):
    (tmp_path / "part.new").mkdir()  # where the draft would be

    keeper = start("import time; print('hello', flush=True); time.sleep(60)")

    assert until(lambda: "hello" in logged(tmp_path))
    assert f"could not write {tmp_path / 'part.json'}: " in logged(tmp_path)
    assert keeper.poll() is None
    os.killpg(keeper.pid, signal.SIGTERM)
    assert keeper.wait(timeout=10) == 0


def test_output_goes_to_the_log_and_the_log_before_it_is_kept(start, tmp_path):
    (tmp_path / "part.log").write_text("the run before\n")

    start("import time; print('hello', flush=True); time.sleep(60)")

    assert until(lambda: "hello" in logged(tmp_path))
    assert (tmp_path / "part.log.1").read_text() == "the run before\n"


def test_the_standard_library_is_all_it_needs():
    """Isolated and without site-packages it starts, and small: there is one for each part."""
    command = [sys.executable, "-I", "-S", keep.__file__, "--help"]

    assert subprocess.run(command, capture_output=True).returncode == 0
