"""Replay a use case's history under several retraining policies: `make replay USE_CASE=...`.

python -m scripts.replay flight_delays
python -m scripts.replay flight_delays --label-delay 2 --trials 5

It reads the lake alone, and writes `replay.json` and `replay.svg` into `replays/<use case>` of the
home. Flights of a year take about ten minutes on two cores; use few trials.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from include.errors import FlywheelError
from include.lake.table import Lake
from include.provenance import code_version
from include.replay.gate import Gate
from include.replay.known import History
from include.replay.learn import learn
from include.replay.picture import draw
from include.replay.policies import POLICIES, promote_all
from include.replay.report import Report, report_on, text_of
from include.replay.run import replay
from include.settings import Settings
from include.use_cases.loader import get
from include.use_cases.schema import UseCase


def run(use_case: UseCase, lake: Lake, label_delay: int) -> Report:
    """Replay and compare."""
    history = History(use_case, lake, label_delay)
    gates = {"gate": Gate(), "no gate": promote_all}
    return report_on(use_case, replay(history, POLICIES, gates, learn), label_delay)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, replay, print; exit code 1 with words when it cannot be done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("use_case", help="whose history")
    parser.add_argument(
        "--label-delay",
        type=int,
        default=1,
        metavar="PARTITIONS",
        help="labels come so many partitions after their rows (default: 1)",
    )
    parser.add_argument("--trials", type=int, help="trials of each candidate (default: the YAML's)")
    parser.add_argument("--to", type=Path, help="folder of the table and the picture")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("include.replay").setLevel(logging.INFO)
    try:
        settings = Settings.from_env()
        use_case = get(options.use_case).with_trials(options.trials)
        lake = Lake(settings.lake_uri, settings.storage_options())
        report = run(use_case, lake, options.label_delay)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    folder = options.to or settings.home / "replays" / use_case.name
    picture = draw(report, folder / "replay.svg")
    table = folder / "replay.json"
    found = {"code": code_version(), **report.as_json()}
    table.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{text_of(report)}\n\n{table}\n{picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
