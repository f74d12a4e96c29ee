"""What one task costs a cluster: processor seconds, API requests, connections, memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from scripts.cluster import postgres
from scripts.cluster.cluster import Cluster
from scripts.cluster.parts import NAMES as WHEEL
from scripts.cluster.services import NAMES as SERVICES

_EXECUTION = "path=/execution/"


@dataclass
class Costs:
    """What was used between two moments.

    Attributes
    ----------
    tasks : int
        Task attempts that ended.
    cpu_s : dict of str to float
        Processor seconds by part, those of its ended children included.
    requests : int
        Requests of tasks to Airflow's API.
    """

    tasks: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    requests: int = 0

    def told(self) -> str:
        """Say it for each task."""
        each = ", ".join(
            f"{name} {seconds / self.tasks:.2f}"
            for name, seconds in sorted(self.cpu_s.items(), key=lambda one: -one[1])
            if seconds / self.tasks >= 0.01
        )
        return (
            f"{self.tasks} tasks; for each: processor seconds {each}; "
            f"{self.requests / self.tasks:.1f} API requests"
        )


@contextmanager
def measured(cluster: Cluster) -> Iterator[Costs]:
    """Fill in what the block used."""
    costs = Costs()
    cpu, requests, tasks = _cpu_s(cluster), _requests(cluster), _ended(cluster)
    yield costs
    after = _cpu_s(cluster)
    costs.cpu_s = {name: after[name] - cpu.get(name, 0.0) for name in after}
    costs.requests = _requests(cluster) - requests
    costs.tasks = _ended(cluster) - tasks


def memory_mib(cluster: Cluster) -> dict[str, float]:
    """Return the memory of each part with its children; what they share is counted once."""
    return {
        name: sum(_pss(process) for process in [main, *main.children(recursive=True)]) / 2**20
        for name, main in _parts(cluster).items()
    }


def connections(cluster: Cluster) -> int:
    """Return how many connections Postgres has from clients."""
    found = sql(
        cluster, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    return int(found[0][0])


def sql(cluster: Cluster, query: str, *parameters: str) -> list[tuple[Any, ...]]:
    """Ask Airflow's database."""
    with postgres.connect(cluster.settings, "airflow") as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


def _ended(cluster: Cluster) -> int:
    found = sql(cluster, "SELECT count(*) FROM task_instance WHERE end_date IS NOT NULL")
    return int(found[0][0])


def _requests(cluster: Cluster) -> int:
    with cluster.wheel.log("api-server").open(errors="replace") as log:
        return sum(_EXECUTION in line for line in log)


def _parts(cluster: Cluster) -> dict[str, psutil.Process]:
    found = {}
    for place, names in ((cluster.services, SERVICES), (cluster.wheel, WHEEL)):
        for name in names:
            record = json.loads((place.run / f"{name}.json").read_text())
            found[name] = psutil.Process(record["pid"])
    return found


def _cpu_s(cluster: Cluster) -> dict[str, float]:
    found = {}
    for name, main in _parts(cluster).items():
        total = 0.0
        for process in [main, *main.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        found[name] = total
    return found


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
