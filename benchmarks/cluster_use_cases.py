"""A hundred use cases on a cluster: how long all Dags take to parse, and how soon tasks start."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import cluster_costs, dag_parsing
from benchmarks.figures import Figure
from include.use_cases.loader import load_all
from scripts.cluster import aws, env_file
from scripts.cluster.cluster import Cluster
from scripts.cluster.settings import ClusterSettings
from tests.support import daily
from tests.support.clusters import folder_for_all_users

USE_CASES, TURNING = 100, 20
DAGS_EACH = 12
PARSE_LIMIT_S = 60.0
START_LIMIT_S = 5.0
EVERY_S, ROUNDS = 240.0, 2
"""Each of the use cases that turn lands a day so often: 20 of them, 5 a minute together."""
SETTINGS = {
    "FLYWHEEL_LANDING_POLL_S": "15",
    "FLYWHEEL_SERVING_POLL_S": "15",
    "FLYWHEEL_DAG_PARSE_INTERVAL_S": "300",
    "FLYWHEEL_WORKER_CONCURRENCY": "4",
}
"""What docs/scaling.md advises for many use cases. With the defaults two processors were busy for
two thirds at rest, and tasks waited for a slot of a worker."""
NEXT = {"raw": "validate_clean", "clean": "feature", "features": "batch_predict"}
"""The Dag that an event of each asset starts."""
WITHIN_S = 1800.0

Say = Callable[[str], None]


def write_use_cases(folder: Path, count: int) -> list[str]:
    """Write copies of the use case `daily`, each with a landing of its own; return their names."""
    names = [f"daily_{number:03}" for number in range(count)]
    for name in names:
        own = daily.write_use_case(folder)
        text = (own / "use_case.yaml").read_text()
        (own / "use_case.yaml").write_text(text.replace("landing: ", f"landing: {name}/"))
        own.rename(folder / name)
    return names


def measure(say: Say, count: int = USE_CASES, turning: int = TURNING) -> list[Figure]:
    """Measure the parse alone, and a cluster on which some of the use cases turn."""
    with folder_for_all_users() as folder:
        names = write_use_cases(folder / "use_cases", count)
        if broken := load_all(folder / "use_cases").broken:
            raise RuntimeError(f"{len(broken)} use cases are broken: {next(iter(broken.values()))}")
        figures = [_parsed(folder / "use_cases", count)]
        say(f"  {figures[0].against}")
        cluster = Cluster(_settings(folder), say=say)
        before = dict(os.environ)
        try:
            cluster.up()
            figures += _turned(cluster, folder, names, turning, say)
        finally:
            cluster.down()
            os.environ.clear()
            os.environ.update(before)
    return figures


def _settings(folder: Path) -> Path:
    file = folder / "cluster.env"
    env_file.ensure(
        file,
        {
            **ClusterSettings.free_ports(),
            "FLYWHEEL_CLUSTER_HOME": str(folder / "home"),
            "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
            "FLYWHEEL_HOUSEKEEPING_CRON": "0 0 1 1 *",
            **SETTINGS,
        },
    )
    return file


def _parsed(use_cases: Path, count: int) -> Figure:
    before = os.environ.get("FLYWHEEL_USE_CASES")
    os.environ["FLYWHEEL_USE_CASES"] = str(use_cases)
    try:
        files = dag_parsing.parse()["files"]
    finally:
        if before is None:
            del os.environ["FLYWHEEL_USE_CASES"]
        else:
            os.environ["FLYWHEEL_USE_CASES"] = before
    dag_parsing.check(files)
    seconds = sum(file["seconds"] for file in files.values())
    dags = sum(file["dags"] for file in files.values())
    against = (
        f"{count} use cases, {dags} Dags, {len(files)} files one after the other, "
        f"{1000 * seconds / count:.0f} ms for each use case"
    )
    return Figure("parse_of_100_use_cases", seconds, "s", against, PARSE_LIMIT_S)


def _turned(
    cluster: Cluster, folder: Path, names: list[str], turning: int, say: Say
) -> list[Figure]:
    expected = DAGS_EACH * len(names)
    query = "SELECT count(*) FROM dag WHERE NOT is_stale"
    started = time.monotonic()
    _until(lambda: cluster_costs.sql(cluster, query)[0][0] >= expected, "all Dags are there")
    first = time.monotonic() - started
    say(f"  {expected} Dags in the database {first:.0f} s after all parts were healthy")
    time.sleep(60)  # the first parse of all files, and what the start left, are over
    with cluster_costs.measured(cluster) as idle:
        time.sleep(60)
    shown = ", ".join(f"{n} {s / 60:.2f}" for n, s in idle.cpu_s.items() if s >= 0.6)
    say(f"  processors that an idle minute uses: {shown}")
    with cluster_costs.measured(cluster) as costs:
        most, landed = _land(cluster, folder, names[:turning])
    waits = sorted(_waits(cluster))
    memory = cluster_costs.memory_mib(cluster)
    say(f"  {costs.told()}; {most} connections; MiB { ({n: round(m) for n, m in memory.items()}) }")
    p95 = waits[int(0.95 * (len(waits) - 1))]
    against = (
        f"{landed} days of {turning} use cases landed, one each {EVERY_S / turning:.0f} s; "
        f"{len(waits)} starts, median {waits[len(waits) // 2]:.1f} s, longest {waits[-1]:.1f} s; "
        f"{costs.told()}; at most {most} connections of Postgres"
    )
    return [Figure("event_to_task_start_p95", p95, "s", against, START_LIMIT_S)]


def _land(cluster: Cluster, folder: Path, names: list[str]) -> tuple[int, int]:
    """Land a day of one use case after the other; most connections meanwhile, and days landed."""
    landed, most, started = 0, 0, time.monotonic()
    days = daily.days("2024-01-01", ROUNDS)
    for day in days:
        for name in names:
            _upload(cluster, folder, name, day)
            landed += 1
            while time.monotonic() < started + landed * EVERY_S / len(names):
                most = max(most, cluster_costs.connections(cluster))
                time.sleep(1)
    features = "SELECT count(*) FROM asset_event WHERE partition_key IS NOT NULL AND asset_id IN "
    features += "(SELECT id FROM asset WHERE name LIKE '%.features')"
    _until(lambda: cluster_costs.sql(cluster, features)[0][0] >= landed, "all days have features")
    running = "SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')"
    _until(lambda: cluster_costs.sql(cluster, running)[0][0] == 0, "no run is left")
    return most, landed


def _upload(cluster: Cluster, folder: Path, name: str, day: str) -> None:
    settings = cluster.settings
    client = aws.s3_client(settings)
    bucket, _, prefix = settings.landing_uri.removeprefix("s3://").partition("/")
    with tempfile.TemporaryDirectory(dir=folder) as staging:
        daily.land(Path(staging), day, outcomes=False)
        for file in Path(staging).rglob("*.csv"):
            key = f"{prefix}/{name}/{file.relative_to(staging).as_posix()}"
            client.upload_file(str(file), bucket, key)
        shutil.rmtree(staging, ignore_errors=True)


def _waits(cluster: Cluster) -> list[float]:
    """Return the seconds from each event to the start of the first task that it caused."""
    events = (
        "SELECT split_part(a.name, '.', 1), split_part(a.name, '.', 2), e.partition_key, "
        "extract(epoch FROM min(e.timestamp))::float FROM asset_event e JOIN asset a "
        "ON a.id = e.asset_id WHERE e.partition_key IS NOT NULL GROUP BY 1, 2, 3"
    )
    starts = (
        "SELECT r.dag_id, r.partition_key, extract(epoch FROM min(t.start_date))::float "
        "FROM dag_run r JOIN task_instance t ON t.dag_id = r.dag_id AND t.run_id = r.run_id "
        "WHERE r.partition_key IS NOT NULL AND t.start_date IS NOT NULL GROUP BY 1, 2"
    )
    found: dict[tuple[Any, Any], float] = {
        (dag, key): start for dag, key, start in cluster_costs.sql(cluster, starts)
    }
    return [
        found[f"{use_case}__{NEXT[stage]}", key] - at
        for use_case, stage, key, at in cluster_costs.sql(cluster, events)
        if stage in NEXT
    ]


def _until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WITHIN_S
    while not reached():
        if time.monotonic() > end:
            raise RuntimeError(f"After {WITHIN_S:.0f} s still waiting until {what}.")
        time.sleep(1)
