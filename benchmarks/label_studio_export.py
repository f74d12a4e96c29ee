"""How much memory and time 10,000 annotations of the real Label Studio take.

`make labelling-up`, then `python -m benchmarks.label_studio_export`. Makes a project with boxes on
pictures, reads its annotations as `collect_answers` does, records and publishes them in a lake of
its own, and removes the project. Exit code 1 when reading 10,000 tasks takes over a quarter more
memory than reading 1,000: an export must hold one page, however many there are.
"""

from __future__ import annotations

import json
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.annotate.choosing import choose_round
from include.annotate.publish import publish_people
from include.labelling.annotations import answers
from include.labelling.answers import record_answers
from include.labelling.asking import Answer
from include.labelling.interface import interface, round_key, task
from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from plugins.hooks.label_studio import LabelStudioHook
from scripts.labelling.place import LabellingPlace
from scripts.stack import secret_files
from scripts.stack.settings import HOST, StackSettings
from tests.support import scans
from tests.support.scans import DAY

ITEMS, FEW = 10_000, 1_000
GROWTH = 1.25
BOXES = 5
PEOPLE = {
    "ask": "label_studio",
    "connection": "label_studio",
    "items": ITEMS,
    "choose": {"random": 1},
}


def annotation(classes: list[str], number: int) -> dict[str, Any]:
    """Make an annotation as Label Studio imports it, with a class and boxes."""
    choice = {"choices": [classes[number % len(classes)]]}
    label = {"from_name": "label", "to_name": "card", "type": "choices", "value": choice}
    side = {"x": 10.5, "y": 20.25, "width": 5.125, "height": 2.5, "rotation": 0}
    box = {
        "from_name": "boxes", "to_name": "picture", "type": "rectanglelabels",
        "original_width": 2480, "original_height": 3508, "image_rotation": 0,
        "value": side | {"rectanglelabels": ["stamp"]},
    }  # fmt: skip
    return {"result": [label, *[box] * BOXES]}


@contextmanager
def measured(told: str) -> Iterator[list[float]]:
    """Print time and the peak of Python's memory; the list gets the peak, in MB."""
    peak: list[float] = []
    tracemalloc.start()
    began = time.perf_counter()
    yield peak
    peak.append(tracemalloc.get_traced_memory()[1] / 1e6)
    tracemalloc.stop()
    print(f"{told:<44} {time.perf_counter() - began:7.1f} s  peak {peak[0]:7.1f} MB", flush=True)


def fill(hook: LabelStudioHook, use_case: UseCase, lake: Lake) -> tuple[int, int]:
    """Send a round and its annotations; return the project's id, and how many items."""
    scans.land(use_case, lake, ITEMS)
    chosen = choose_round(use_case, DAY, lake, Writer("round", 1, 1, "benchmark"))
    assert use_case.labels is not None  # noqa: S101 - for mypy
    classes = list(use_case.labels.answers)
    project = hook.ensure_project(f"Flywheel: export {os.getpid()}", interface(use_case), 1)
    for number, count in ((1, ITEMS), (0, FEW)):
        hook.send(
            project,
            [
                task(use_case, replace(one, picture=None), round_key(DAY, number, "x"), None)
                | {"annotations": [annotation(classes, place)]}
                for place, one in enumerate(chosen.items[:count])
            ],
        )
    return project, len(chosen.items)


def main() -> int:
    """Connect to the Label Studio of this home, and run."""
    settings = StackSettings.from_env()
    place = LabellingPlace.of(settings)
    token = secret_files.read(settings, "label_studio_token")
    connection = {"conn_type": "http", "host": HOST, "port": place.port, "password": token}
    os.environ["AIRFLOW_CONN_LABEL_STUDIO"] = json.dumps(connection)
    return run(LabelStudioHook())


def run(hook: LabelStudioHook) -> int:
    """Fill, measure, and remove the project."""
    with TemporaryDirectory() as folder:
        os.environ["FLYWHEEL_USE_CASES"] = f"{folder}/use_cases"
        scans.write(Path(folder) / "use_cases", PEOPLE)
        use_case, lake = get(scans.NAME), Lake(f"{folder}/lake")
        began = time.perf_counter()
        project, count = fill(hook, use_case, lake)
        print(f"{count:,} tasks, each with a class and {BOXES} boxes, sent in "
              f"{time.perf_counter() - began:.0f} s")  # fmt: skip
        try:
            return measure(hook, use_case, lake, project)
        finally:
            hook.ask("DELETE", f"api/projects/{project}/")


def measure(hook: LabelStudioHook, use_case: UseCase, lake: Lake, project: int) -> int:
    """Read, record and publish; 1 where reading holds more than a page."""
    who = hook.annotators()
    peaks = {}
    for number, count in ((0, FEW), (1, ITEMS)):
        with measured(f"read {count:,} tasks, a page at a time") as peak:
            read = sum(1 for one in hook.tasks(project, round_key(DAY, number, "x"))
                       for _ in answers(one, who))  # fmt: skip
        if read != count:
            raise SystemExit(f"{read} annotations were read, {count} were sent.")
        peaks[count] = peak[0]
    with measured(f"read {ITEMS:,} tasks into answers"):
        found: list[Answer] = [
            answer
            for one in hook.tasks(project, round_key(DAY, 1, "x"))
            for answer in answers(one, who)
        ]
    writer = Writer("round", 1, 2, "benchmark")
    with measured("record the answers"):
        done = record_answers(
            use_case, DAY, 1, found, lake, writer, via="label_studio", closed_at=datetime.now(UTC)
        )
    with measured("publish the labels"):
        published = publish_people(use_case, DAY, lake, writer)
    print(done.verdicts, f"{published.labelled:,} labels")
    growth = peaks[ITEMS] / peaks[FEW]
    print(f"reading ten times as many takes {growth:.2f} times the memory; at most {GROWTH}")
    return int(growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
