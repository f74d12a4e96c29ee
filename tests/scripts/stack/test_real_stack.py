"""The real stack, killed in several ways; the wheel itself turns in tests/end_to_end."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import psutil
import pytest

from scripts.stack import processes
from scripts.stack.parts import HEALTHY
from scripts.stack.settings import REPO, StackSettings
from scripts.stack.stack import Stack

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(StackSettings.on_free_ports(tmp_path_factory.mktemp("stack") / "home"))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def until(condition, within_s=60.0):
    end = time.monotonic() + within_s
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.3)
    return answer


def test_it_is_healthy_on_loopback_only_and_small(stack):
    assert stack.status().healthy
    members = processes.of_home(stack.settings.home)
    listening = [
        connection.laddr
        for process in members
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == set(stack.settings.ports.values())
    assert stack.memory_bytes() < 2.5 * 2**30


def test_a_second_up_says_it_is_up(stack):
    said = []

    Stack(stack.settings, say=said.append).up()

    assert said == ["The stack is up already."]


def test_the_login_works_and_its_password_is_in_no_log(stack):
    assert len(stack.token().split(".")) == 3  # a JWT
    secrets = [stack.login().password, *(f.read_text() for f in stack.settings.secrets.iterdir())]
    logs = [file.read_text(errors="replace") for file in stack.settings.logs.iterdir()]
    assert [s for s in secrets if any(s.strip() in log for log in logs)] == []


def test_nobody_else_can_look_into_its_home(stack):
    assert stat.S_IMODE(stack.settings.home.stat().st_mode) == 0o700
    databases = [
        stack.settings.airflow_home / "airflow.db",
        stack.settings.mlflow_home / "mlflow.db",
    ]
    assert [stat.S_IMODE(file.stat().st_mode) for file in databases] == [0o600, 0o600]


def test_a_killed_part_is_told_and_comes_back(stack):
    os.kill(stack._run.record("serving").facts["pid"], signal.SIGKILL)

    assert until(lambda: not stack.status().healthy, within_s=5)
    assert until(lambda: stack.status().healthy)
    assert stack.status().restarts == {"serving": (1, -9)}


@pytest.mark.slow
def test_after_kill_9_of_the_manager_parts_are_kept_and_up_heals(stack):
    before = {process.pid for process in processes.of_home(stack.settings.home)}
    stack._run.manager().kill()

    assert until(lambda: not stack.status().running, within_s=5)
    status = stack.status()
    assert not status.healthy
    assert status.unhealthy == {}
    assert "`make up` stops what is left of it and starts the whole stack again" in status.manager
    os.kill(stack._run.record("log-server").facts["pid"], signal.SIGKILL)
    assert until(lambda: stack.status().parts["log-server"] != HEALTHY, within_s=5)
    assert until(lambda: stack.status().parts["log-server"] == HEALTHY), "restarted all the same"

    said = []
    stack.say = said.append
    stack.up()

    assert said[0].startswith("An earlier stack was not stopped in order")
    assert stack.status().healthy
    assert before.isdisjoint(process.pid for process in processes.of_home(stack.settings.home))


def test_after_kill_9_of_the_manager_down_leaves_nothing(stack):
    stack._run.manager().kill()

    assert until(lambda: not stack.status().running, within_s=5)
    assert "scheduler" in stack.down()
    assert processes.of_home(stack.settings.home) == []
    assert stack.down() == []


def test_ctrl_c_during_up_stops_what_was_started(stack):
    up = subprocess.Popen(
        [sys.executable, "-m", "scripts.stack", "up"], cwd=REPO, env=stack.environment()
    )
    # A process with the stack's environment counts as part of it: wait for the manager itself.
    assert until(lambda: stack._run.manager() is not None)

    up.send_signal(signal.SIGINT)

    assert up.wait(timeout=60) == 130
    assert processes.of_home(stack.settings.home) == []
