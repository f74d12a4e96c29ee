"""Each part of the real stack, killed: status tells, it comes back, and its port is its own.

What was measured is in docs/reliability.md.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import psutil
import pytest

from scripts.stack import processes
from scripts.stack.parts import NAMES, PORTS
from scripts.stack.settings import StackSettings
from scripts.stack.stack import Stack

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]
BACK_WITHIN_S = 150
"""A part needs 6 to 40 s on two cores that other work uses too; at a load of 13, 14 to 74 s."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(StackSettings.on_free_ports(tmp_path_factory.mktemp("faults") / "home"))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def until(condition, within_s):
    end = time.monotonic() + within_s
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


def pid_of(stack, name):
    return stack._run.record(name).facts["pid"]


def listening(stack):
    """Return, for each port of the stack, the processes that listen on it."""
    found = {name: set() for name in PORTS}
    for connection in psutil.net_connections(kind="tcp"):
        for name, setting in PORTS.items():
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == getattr(
                stack.settings, setting
            ):
                found[name].add(connection.pid)
    return found


def family(pid):
    process = psutil.Process(pid)
    return {pid, *(child.pid for child in process.children(recursive=True))}


def outside_of_the_parts(stack):
    """Return the stack's processes that no keeper, watcher or manager has among its children."""
    manager = stack._run.manager()
    known = family(manager.pid)
    return {
        p.pid: p.cmdline() for p in processes.of_home(stack.settings.home) if p.pid not in known
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_part_that_is_killed_comes_back_and_leaves_nobody(stack, name):
    assert stack.status().healthy
    killed = pid_of(stack, name)
    before = stack.status().restarts.get(name, (0, None))[0]

    os.kill(killed, signal.SIGKILL)
    at = time.monotonic()

    told = until(lambda: stack.status().unhealthy.get(name), within_s=10)
    told_after_s = time.monotonic() - at
    assert told, f"{name} was killed and status calls it healthy"
    assert until(lambda: stack.status().healthy, BACK_WITHIN_S), stack.status().unhealthy
    back_after_s = time.monotonic() - at
    times = f"told after {told_after_s:.1f} s, healthy after {back_after_s:.1f} s"
    sys.stdout.write(f"{name}: {times} ({told})\n")
    assert pid_of(stack, name) != killed
    assert stack.status().restarts[name] == (before + 1, -signal.SIGKILL)
    if name in PORTS:
        assert listening(stack)[name] <= family(pid_of(stack, name))
        assert listening(stack)[name]
    assert outside_of_the_parts(stack) == {}
