import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from scripts.stack import processes
from scripts.stack.settings import MARKER, REPO

# The real manager over parts that only sleep, so that a test takes a second.
STAND_IN = """
import os, sys
from scripts.stack import manager
from scripts.stack.parts import Part
sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
manager.parts = lambda settings: [Part(n, sleeper, dict(os.environ)) for n in ("one", "two")]
manager.main()
"""


def until(condition, within_s=10.0):
    end = time.monotonic() + within_s
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


@pytest.fixture
def manager(settings):
    ports = {variable: str(port) for variable, port in settings.ports.items()}
    env = {**os.environ, **ports, "FLYWHEEL_HOME": str(settings.home), "PYTHONPATH": str(REPO)}
    env[MARKER] = str(settings.home)
    process = subprocess.Popen(
        [sys.executable, "-c", STAND_IN], env=env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    yield process
    process.terminate()
    process.wait(timeout=30)
    processes.sweep(settings.home, grace_s=0)


def pid_of(settings, name):
    try:
        record = json.loads((settings.run / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return record["pid"] if record["phase"] == "running" else None


def runs(pid):
    try:
        return processes.alive(psutil.Process(pid))  # an orphan may stay a zombie for a while
    except psutil.NoSuchProcess:
        return False


def test_a_part_that_dies_comes_back_and_the_others_run_on(manager, settings):
    one, two = (until(lambda name=name: pid_of(settings, name)) for name in ("one", "two"))

    os.kill(one, signal.SIGKILL)

    assert until(lambda: pid_of(settings, "one") not in (None, one))
    assert pid_of(settings, "two") == two
    assert runs(two)
    assert manager.poll() is None


def test_sigterm_ends_all_parts_and_then_the_manager(manager, settings):
    pids = [until(lambda name=name: pid_of(settings, name)) for name in ("one", "two")]

    manager.terminate()

    assert manager.wait(timeout=15) == 128 + signal.SIGTERM
    assert [runs(pid) for pid in pids] == [False, False]


def test_after_kill_9_of_the_manager_parts_run_on_and_are_restarted(manager, settings):
    one, two = (until(lambda name=name: pid_of(settings, name)) for name in ("one", "two"))

    manager.kill()
    manager.wait()
    os.kill(one, signal.SIGKILL)

    assert until(lambda: pid_of(settings, "one") not in (None, one))
    assert pid_of(settings, "two") == two
    assert runs(two)

    processes.sweep(settings.home, grace_s=15)
    records = [json.loads((settings.run / f"{name}.json").read_text()) for name in ("one", "two")]
    assert [record["phase"] for record in records] == ["stopped", "stopped"]
    assert processes.of_home(settings.home) == []


def test_a_killed_keeper_ends_the_stack_in_order_and_its_part_does_not_run_on(manager, settings):
    one, two = (until(lambda name=name: pid_of(settings, name)) for name in ("one", "two"))
    keeper = psutil.Process(one).parent()
    assert str(processes.KEEPER) in keeper.cmdline()

    keeper.kill()

    assert manager.wait(timeout=30) == -signal.SIGKILL % 256
    assert [runs(pid) for pid in (one, two)] == [False, False]
    assert processes.of_home(settings.home) == []
