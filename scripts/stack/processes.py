"""Find and stop the processes of one stack, also those whose parents are gone."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from include.errors import ConfigError
from scripts.stack.settings import HOST, MARKER

KEEPER = Path(__file__).with_name("keep.py")
MANAGERS = {"scripts.stack.manager", "scripts.cluster.manager", "scripts.labelling.manager"}
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
_ENDING_S = 0.3
_CLOCKS_DIFFER_S = 10.0
"""A keeper notes the time just before it starts a part; the system counts from its own start."""
_REACHED_BY_LOOPBACK = {HOST, "0.0.0.0", "::", f"::ffff:{HOST}"}  # noqa: S104 - compared, not bound


def alive(process: psutil.Process) -> bool:
    """Whether it still runs. A zombie counts as stopped; only its parent can reap it."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def of_home(home: Path) -> list[psutil.Process]:
    """Return the processes of this home, without the caller and its ancestors.

    They carry the home's marker, or are in the session of one of its parts: nginx writes its title
    over its environment, and with it over the marker.
    """
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    sessions = _sessions(home / "run")
    found = []
    for process in psutil.process_iter():
        try:
            ours = os.getsid(process.pid) in sessions or (
                process.environ().get(MARKER) == str(home)
            )
        except (*_GONE, ProcessLookupError, psutil.AccessDenied):  # skip processes of other users
            continue
        if ours and process.pid not in own and alive(process):
            found.append(process)
    return found


def _sessions(run: Path) -> set[int]:
    """Return the sessions of the parts that the keepers noted as running.

    A part leads its session, so its process id is the session's. The system gives that number to
    no other process while one of the session lives. A leader that was created at another time than
    the part, or a part that was started before this system, has nothing to do with the note.
    """
    found = set()
    for file in run.glob("*.json"):
        try:
            facts = json.loads(file.read_text())
            pid, started_at = int(facts["pid"]), float(facts["started_at"])
        except (OSError, ValueError, TypeError, KeyError):  # the manager's own note, or damaged
            continue
        if started_at < psutil.boot_time():
            continue
        try:
            late_s = psutil.Process(pid).create_time() - started_at
        except psutil.NoSuchProcess:
            late_s = 0.0  # killed: the rest of its session may live on
        if abs(late_s) < _CLOCKS_DIFFER_S:
            found.add(pid)
    return found


def wait_gone(process: psutil.Process, within_s: float) -> None:
    """Return when the process has ended, or after `within_s` seconds."""
    end = time.monotonic() + within_s
    while alive(process) and time.monotonic() < end:
        time.sleep(0.1)


def sweep(home: Path, grace_s: float) -> list[str]:
    """Stop every process of this home: SIGTERM, and SIGKILL after `grace_s` seconds.

    The manager and the keepers are told first: they stop their parts in order, and start none
    again.

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
        supervisors = [process for process in left if _supervises(process)]
        for process in left:
            try:
                stopped.setdefault(process.pid, f"{process.name()} ({process.pid})")
            except _GONE:
                continue
        for process in left if kill else supervisors or left:
            try:
                if kill:
                    process.kill()
                elif process.pid not in told:
                    process.terminate()
                    told.add(process.pid)
            except _GONE:
                continue
        time.sleep(0.2)
    return list(stopped.values())


def _supervises(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except (*_GONE, psutil.AccessDenied):
        return False
    return str(KEEPER) in words or not MANAGERS.isdisjoint(words)


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


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise ConfigError when a port is taken, with the variable to set and who holds it.

    Parameters
    ----------
    ports
        By the environment variable that sets each.
    """
    taken = []
    for variable, port in ports.items():
        with socket.socket() as listener:
            # As the servers do: a port that only waits for late packets is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError as error:
                taken.append(f"{HOST}:{port} ({error.strerror}{_holder(port)}): set {variable}")
    if taken:
        raise ConfigError(
            "Free ports are needed, and there are none at "
            + "; ".join(taken)
            + ", to a free port, or stop what holds it."
        )


def foreign_listeners(ports: Mapping[int, int | None]) -> dict[int, str]:
    """Return, in words, who listens on a port instead of the part that should.

    Parameters
    ----------
    ports
        By port, the process id of the part; None when it does not run.

    Returns
    -------
    dict
        By port, who listens there. A port is absent when the part (its process or a descendant)
        listens on it, or nobody does.
    """
    try:
        found = _foreign_by_system(ports)
        if None in found.values():
            # Of another user, or of a process that is just ending: that one is gone by then.
            time.sleep(_ENDING_S)
            found = _foreign_by_system(ports)
    except psutil.AccessDenied:  # macOS shows connections of all processes to root alone
        return _foreign_by_family(ports)
    return {port: _described(pid) for port, pid in found.items()}


def _foreign_by_system(ports: Mapping[int, int | None]) -> dict[int, int | None]:
    connections = psutil.net_connections(kind="tcp")
    found = {}
    for port, part in ports.items():
        holders = {
            connection.pid
            for connection in connections
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr.port == port
            and connection.laddr.ip in _REACHED_BY_LOOPBACK
        }
        if holders and not any(_belongs(pid, part) for pid in holders):
            found[port] = min(holders, key=lambda pid: pid or 0)
    return found


def _foreign_by_family(ports: Mapping[int, int | None]) -> dict[int, str]:
    found = {}
    for port, part in ports.items():
        if not _family_listens(part, port) and _accepts(port):
            found[port] = f"another process (this system names it to root: `sudo lsof -i :{port}`)"
    return found


def _family_listens(part: int | None, port: int) -> bool:
    try:
        leader = psutil.Process(part) if part else None
        family = [leader, *leader.children(recursive=True)] if leader else []
    except psutil.NoSuchProcess:
        return False
    for process in family:
        try:
            connections = process.net_connections(kind="tcp")
        except (*_GONE, psutil.AccessDenied):
            continue
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections):
            return True
    return False


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _belongs(pid: int | None, part: int | None) -> bool:
    if pid is None or part is None:
        return False
    try:
        return pid == part or part in {parent.pid for parent in psutil.Process(pid).parents()}
    except psutil.NoSuchProcess:
        return False


def _described(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        return f"process {pid} ({' '.join(psutil.Process(pid).cmdline())[:80]})"
    except (*_GONE, psutil.AccessDenied):
        return f"process {pid}"


def _holder(port: int) -> str:
    who = foreign_listeners({port: None}).get(port)
    return f"; held by {who}" if who else ""
