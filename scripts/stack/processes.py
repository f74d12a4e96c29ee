"""Find and stop the processes of one stack, whatever became of their parents."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import psutil

from include.errors import ConfigError
from scripts.stack.settings import HOST, MARKER, StackSettings

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie, which only its parent can bury, does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def of_home(home: Path) -> list[psutil.Process]:
    """Return the processes that carry this home's marker, without the caller and its ancestors."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARKER) == str(home)
        except (*_GONE, psutil.AccessDenied):  # another user's process is none of ours
            continue
        if marked and process.pid not in own and alive(process):
            found.append(process)
    return found


def wait_gone(process: psutil.Process, within_s: float) -> None:
    """Return when the process has ended, or after `within_s` seconds."""
    end = time.monotonic() + within_s
    while alive(process) and time.monotonic() < end:
        time.sleep(0.1)


def sweep(home: Path, grace_s: float) -> list[str]:
    """Stop every process of this home: SIGTERM, and SIGKILL after `grace_s` seconds.

    Returns
    -------
    list of str
        The titles of the processes that were there.
    """
    stopped: dict[int, str] = {}
    end = time.monotonic() + grace_s
    told: set[int] = set()
    while left := of_home(home):
        kill = time.monotonic() >= end
        for process in left:
            try:
                stopped.setdefault(process.pid, f"{process.name()} ({process.pid})")
                if kill:
                    process.kill()
                elif process.pid not in told:
                    process.terminate()
                    told.add(process.pid)
            except _GONE:
                continue
        time.sleep(0.2)
    return list(stopped.values())


def memory_bytes(home: Path) -> int:
    """Return the memory of this home's processes; what they share is counted once (PSS)."""
    total = 0
    for process in of_home(home):
        try:
            memory = process.memory_full_info()
        except (*_GONE, psutil.AccessDenied):
            continue
        total += getattr(memory, "pss", memory.uss)  # macOS has no PSS
    return total


def check_ports(settings: StackSettings) -> None:
    """Raise ConfigError when a port is taken, with the variable to set and who holds it."""
    taken = []
    for variable, port in settings.ports.items():
        with socket.socket() as listener:
            # As the servers do: a port that only waits for late packets is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError as error:
                taken.append(f"{HOST}:{port} ({error.strerror}{_holder(port)}): set {variable}")
    if taken:
        raise ConfigError(
            "The stack needs free ports, and got none at "
            + "; ".join(taken)
            + ", to a free port, or stop what holds it."
        )


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            if listening and connection.laddr.port == port and connection.pid:
                name = " ".join(psutil.Process(connection.pid).cmdline())[:80]
                return f"; held by process {connection.pid}: {name}"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass  # only a courtesy: macOS shows it to root alone
    return ""
