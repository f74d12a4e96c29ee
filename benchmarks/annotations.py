"""What 30,000 answers to 10,000 items take, from a round to published labels.

`python -m benchmarks.annotations`: a partition of 20,000 rows; one round asks about so many items,
three annotators answer each as they would in Label Studio, the answers are recorded, handed in a
second time, and labels are published. Each case runs in a process of its own, whose peak is the
most that it held resident. Exit code 1 where the 10,000 items take more than `MORE_MIB` above what
100 items take, or more than `LIMIT_S` in all, or an answer is lost or recorded twice.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from include.annotate.choosing import choose_round
from include.annotate.publish import publish_people
from include.labelling.answers import record_answers
from include.labelling.asking import Answer, Round
from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from tests.support import scans
from tests.support.scans import DAY

ROWS, FEW, MANY = 20_000, 100, 10_000
ANNOTATORS = {"ann": 0.9, "bob": 0.8, "eve": 0.7}
MORE_MIB, LIMIT_S = 256, 60
NAMES = ("letter", "bill", "form")


def case(folder: Path, items: int) -> dict[str, float]:
    """Ask, record twice and publish; return seconds of each step, the peak and the right labels."""
    os.environ["FLYWHEEL_USE_CASES"] = str(folder)
    people = {"ask": "label_studio", "connection": "label_studio", "annotators": 3, "items": items}
    scans.write(folder, people)
    use_case, lake = get(scans.NAME), Lake(str(folder / "lake"))
    scans.land(use_case, lake, ROWS, stages=["clean"])
    found: dict[str, float] = {}
    began = time.perf_counter()
    asked = choose_round(use_case, DAY, lake, _writer(1))
    found["choose_s"] = time.perf_counter() - began
    for name, token in (("record_s", 2), ("again_s", 3)):
        began = time.perf_counter()
        answers = list(_answers(asked))
        done = record_answers(use_case, DAY, asked.number, answers, lake, _writer(token), via="x")
        found[name] = time.perf_counter() - began
        found[f"new_{name[:-2]}"] = done.new
    began = time.perf_counter()
    published = publish_people(use_case, DAY, lake, _writer(4))
    found["publish_s"] = time.perf_counter() - began
    labels = lake.table("scans", "labels").read([DAY])
    right = labels["label"].to_numpy() == labels["scan"].to_numpy() % 3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found | {
        "labelled": published.labelled, "right": float(right.mean()), "peak_mib": peak,
    }  # fmt: skip


def _answers(asked: Round) -> Iterator[Answer]:
    rng, at = np.random.default_rng(0), datetime.now(UTC).replace(microsecond=0)
    at = (asked.asked_at or at) + timedelta(seconds=1)
    for item in asked.items:
        truth = item.key["scan"] % 3
        for who, accuracy in ANNOTATORS.items():
            said = truth if rng.random() < accuracy else (truth + 1) % 3
            yield Answer(item.item, who, NAMES[said], at, f"{who} {item.item}")


def _writer(token: int) -> Writer:
    return Writer(run_id=f"run-{token}", attempt=1, token=token, code_version="benchmark")


def measured(items: int) -> dict[str, float]:
    """Run one case in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.annotations", folder, str(items)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str]) -> int:
    """Measure one case where a folder is named; else both, and compare."""
    if arguments:
        print(json.dumps(case(Path(arguments[0]), int(arguments[1]))))
        return 0
    few, many = measured(FEW), measured(MANY)
    for items, one in ((FEW, few), (MANY, many)):
        told = ", ".join(f"{name} {value:,.3g}" for name, value in one.items())
        print(f"{items:,} items, {items * len(ANNOTATORS):,} answers: {told}")
    more = many["peak_mib"] - few["peak_mib"]
    seconds = sum(value for name, value in many.items() if name.endswith("_s"))
    print(f"{more:.0f} MiB more, limit {MORE_MIB}; {seconds:.0f} s, limit {LIMIT_S}")
    lost = many["new_record"] != MANY * len(ANNOTATORS) or many["new_again"] != 0
    return int(more > MORE_MIB or seconds > LIMIT_S or lost)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
