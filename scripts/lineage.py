"""Print where a model or a partition came from, and what came of it: `make lineage MODEL=...`.

python -m scripts.lineage --model flight_delays/2
python -m scripts.lineage --partition flight_delays/2013-05 --json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from include.errors import FlywheelError
from include.lineage.text import model_text, partition_text
from include.lineage.trace import model_lineage, partition_lineage
from scripts.deployment import Deployment, named


def of_model(text: str, found: Deployment, as_json: bool) -> str:
    """Trace a model version, such as `flight_delays/2`."""
    use_case, version = named(text, "MODEL", "flight_delays/2")
    ledger = found.ledger(use_case)
    lineage = model_lineage(use_case, version, found.lake, found.registry, ledger)
    return json.dumps(asdict(lineage), indent=1) if as_json else model_text(lineage)


def of_partition(text: str, found: Deployment, as_json: bool) -> str:
    """Trace a partition, such as `flight_delays/2013-05`."""
    use_case, partition = named(text, "PARTITION", "flight_delays/2013-05")
    lineage = partition_lineage(use_case, partition, found.lake, found.registry)
    return json.dumps(asdict(lineage), indent=1) if as_json else partition_text(lineage)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and print; exit code 1 with words when there is no such thing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="USE_CASE/VERSION", help="trace a model version")
    what.add_argument("--partition", metavar="USE_CASE/KEY", help="trace a partition")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    options = parser.parse_args(arguments)
    try:
        found = Deployment.of_environment()
        if options.model:
            print(of_model(options.model, found, options.json))
        else:
            print(of_partition(options.partition, found, options.json))
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
