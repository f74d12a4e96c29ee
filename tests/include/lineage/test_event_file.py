"""Events in a file: whole lines from any number of processes, and never more than two files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.transport import get_default_factory

from include.lineage.event_file import EventFile, EventFileConfig
from scripts.stack.settings import REPO


def event(name: str, padding: int = 0) -> RunEvent:
    return RunEvent(
        eventTime="2024-01-01T00:00:00Z",
        eventType=RunState.COMPLETE,
        run=Run("0193a5e5-0000-7000-8000-000000000000"),
        job=Job("flywheel", f"{name}{'x' * padding}"),
        producer="https://example.com",
    )


def names(path: Path) -> list[str]:
    return [json.loads(line)["job"]["name"] for line in path.read_text().splitlines()]


def test_openlineages_own_factory_makes_it_from_what_the_stack_sets(tmp_path: Path) -> None:
    path = tmp_path / "openlineage" / "events.jsonl"
    config = {"type": "include.lineage.event_file.EventFile", "path": str(path)}

    transport = get_default_factory().create(config)
    transport.emit(event("a"))
    transport.emit(event("b"))

    assert isinstance(transport, EventFile)
    assert names(path) == ["a", "b"]
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_it_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    transport = EventFile(EventFileConfig(str(path), max_bytes=1500))
    for number in range(50):
        transport.emit(event(f"{number:02}"))

    kept = names(tmp_path / "events.jsonl.1") + names(path)

    assert kept == [f"{number:02}" for number in range(50 - len(kept), 50)]
    total = sum(each.stat().st_size for each in tmp_path.iterdir())
    one = len(path.read_text().splitlines()[0]) + 1
    assert total <= 2 * (1500 + one)


WRITER = """
import sys
from tests.include.lineage.test_event_file import event
from include.lineage.event_file import EventFile, EventFileConfig
transport = EventFile(EventFileConfig(sys.argv[1], max_bytes=10**9))
for number in range(40):
    transport.emit(event(f"{sys.argv[2]}-{number}-", padding=20_000))
"""


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    """Each is larger than what a file buffers, so that it would be written in parts."""
    path = tmp_path / "events.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(n)], cwd=REPO)
        for n in range(3)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]

    seen = [name.rstrip("x") for name in names(path)]

    assert sorted(seen) == sorted(f"{n}-{number}-" for n in range(3) for number in range(40))
