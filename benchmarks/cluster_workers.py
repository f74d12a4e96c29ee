"""What a second worker brings, and whether many partitions cost more each than a few.

One cluster with a small synthetic use case by day. Nothing is labelled, so no training is in the
way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import cluster_costs
from benchmarks.figures import Figure
from tests.support import daily
from tests.support.clusters import ClusterHouse, daily_cluster, folder_for_all_users

TASKS = 16
WAITING_S, COMPUTING_S = 10.0, 5.0
WAITING_LIMIT = 1 / 1.7
"""Two workers must be at least 1.7 times as fast as one where tasks wait."""
REBUILT = (10, 100, 300)
FLAT_LIMIT = 1.25
"""A partition of 300 may cost a quarter more than one of 10."""
WITHIN_S = 1800.0
_WAITS = "import time\n\n\ndef derive(frame):\n    time.sleep({seconds})\n    return frame\n"
_COMPUTES = (
    "import time\n\n\ndef derive(frame):\n    end = time.process_time() + {seconds}\n"
    "    while time.process_time() < end:\n        sum(range(1000))\n    return frame\n"
)

Say = Callable[[str], None]


def measure(say: Say, most: int = REBUILT[-1]) -> list[Figure]:
    """Measure all of it on one cluster."""
    counts = [count for count in REBUILT if count <= most]
    with folder_for_all_users() as folder, daily_cluster(folder) as house:
        _land(house, daily.days("2023-01-01", counts[-1]))
        figures = _rebuilt(house, counts, say)
        _rebuild(house, "feature", TASKS)  # from here on each finds the same content there
        waiting = _with_one_and_two(house, _WAITS.format(seconds=WAITING_S), say)
        computing = _with_one_and_two(house, _COMPUTES.format(seconds=COMPUTING_S), say)
    return [*figures, *_gain(waiting, computing)]


def _gain(waiting: tuple[float, float], computing: tuple[float, float]) -> list[Figure]:
    cpus = os.cpu_count()
    beside = "{} tasks of {:.0f} s each: one worker {:.0f} s, two workers {:.0f} s, {:.2f} times"
    told = [
        beside.format(TASKS, seconds, one, two, one / two)
        for seconds, (one, two) in ((WAITING_S, waiting), (COMPUTING_S, computing))
    ]
    bound = f"{told[1]}; all parts share {cpus} processors: the tasks alone need "
    bound += f"{TASKS * COMPUTING_S / (cpus or 1):.0f} s of them"
    return [
        Figure("waiting_tasks_two_workers_to_one", waiting[1] / waiting[0], "ratio", told[0],
               WAITING_LIMIT),
        # No limit but that a second worker must not make it slower: one machine has so many cores.
        Figure("computing_tasks_two_workers_to_one", computing[1] / computing[0], "ratio", bound,
               1.1),
    ]  # fmt: skip


def _rebuilt(house: ClusterHouse, counts: list[int], say: Say) -> list[Figure]:
    """Validate so many partitions again by `rebuild`, without what would follow."""
    seconds: dict[int, float] = {}
    told = ""
    for count in counts:
        with cluster_costs.measured(house.stack) as costs:
            seconds[count] = _rebuild(house, "validate_clean", count) / count
        told = costs.told()
        say(f"  {count} by rebuild: {seconds[count]:.2f} s each; {told}")
    shown = ", ".join(f"{count}: {each:.2f} s" for count, each in seconds.items())
    ratio = seconds[counts[-1]] / seconds[counts[0]]
    return [
        Figure("rebuilt_partition", seconds[counts[-1]], "s", f"{shown}; {told}", 6.0),
        Figure("rebuilt_partition_of_many_to_few", ratio, "ratio", shown, FLAT_LIMIT),
    ]


def _with_one_and_two(house: ClusterHouse, code: str, say: Say) -> tuple[float, float]:
    features = house.use_cases / daily.NAME / "features.py"
    features.write_text(code)
    with _without(house, "worker-2"):
        one = _rebuild(house, "feature", TASKS)
    two = _rebuild(house, "feature", TASKS)
    say(f"  {TASKS} tasks: one worker {one:.1f} s, two workers {two:.1f} s")
    return one, two


@contextmanager
def _without(house: ClusterHouse, worker: str) -> Iterator[None]:
    """Let a worker take no more tasks within the block."""
    from celery import Celery  # type: ignore[import-untyped]

    app = Celery(broker=house.stack.settings.redis(0), set_as_current=False)
    (name,) = (n for each in app.control.ping(timeout=5) for n in each if worker in n)
    for queue in ("default", "train"):
        app.control.cancel_consumer(queue, destination=[name], reply=True, timeout=5)
    try:
        yield
    finally:
        for queue in ("default", "train"):
            app.control.add_consumer(queue, destination=[name], reply=True, timeout=5)
        app.close()


def _land(house: ClusterHouse, days: list[str]) -> None:
    """Land days and take them in; nothing else of the wheel turns."""
    for phase in ("validate_clean", "feature", "batch_predict"):
        house.pause(phase, True)
    for day in days:
        house.land(day, outcomes=False)
    raw = house.table("raw")
    house.until(
        lambda: raw.exists() and len(raw.partitions()) == len(days), "all days are raw", WITHIN_S
    )
    house.at_rest(within_s=WITHIN_S)


def _rebuild(house: ClusterHouse, phase: str, most: int) -> float:
    """Run a phase again for the newest partitions; seconds from the first start to the last end."""
    house.pause(phase, False)
    form = {"first": "2000-01-01", "last": "2099-12-31", "most": most}
    run = house.run("rebuild", phase=phase, **form)
    query = (
        "SELECT count(*) FILTER (WHERE end_date IS NOT NULL), count(*) FILTER (WHERE state = "
        "'failed'), extract(epoch FROM max(end_date) - min(start_date))::float FROM dag_run "
        "WHERE run_id LIKE %s"
    )

    def ended() -> tuple[Any, ...] | None:
        (found,) = cluster_costs.sql(house.stack, query, f"{run.run_id}__%")
        return found if found[0] == most else None

    _, failed, seconds = house.until(ended, f"{most} runs of {phase} end", WITHIN_S)
    if failed:
        raise RuntimeError(f"{failed} of {most} runs of {phase} failed.")
    return float(seconds)
