"""Fit a registered model again from its pins and compare the two: `make reproduce MODEL=...`.

    python -m scripts.reproduce --model flight_delays/2

It does in this process what the Dag `<use case>__reproduce` does in Airflow. Exit code 0 when both
answer alike, 1 when they do not or when it could not be tried.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict

from include.errors import FlywheelError
from include.train_tune.reproduce import Reproduced, reproduce
from scripts.deployment import Deployment, named


def told(done: Reproduced, model: str) -> str:
    """Write the verdict and what stands behind it."""
    lines = [f"{model}: {done.verdict}. {done.because}"]
    lines += [
        f"  {name:<14} {_then(value)}now {value['now']:.6g} "
        f"(the registered model now {value['stored']:.6g})"
        for name, value in done.metrics.items()
    ]
    lines += [
        f"  {name} was {value['then']}, is {value['now']}"
        for name, value in done.environment.items()
    ]
    lines += [f"  gone: {words}" for words in done.gone]
    return "\n".join(lines)


def _then(value: Mapping[str, float]) -> str:
    return f"then {value['then']:.6g}, " if "then" in value else ""


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, fit, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="USE_CASE/VERSION")
    parser.add_argument("--json", action="store_true", help="the facts as JSON")
    options = parser.parse_args(arguments)
    try:
        use_case, version = named(options.model, "MODEL", "flight_delays/2")
        found = Deployment.of_environment()
        done = reproduce(use_case, version, found.lake, found.registry)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(asdict(done), indent=1) if options.json else told(done, options.model))
    return 0 if done.verdict in ("identical", "equal") else 1


if __name__ == "__main__":
    sys.exit(main())
