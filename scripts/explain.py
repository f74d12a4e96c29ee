"""Print a use case's effective configuration, and where each value comes from.

python -m scripts.explain flight_delays
"""

from __future__ import annotations

import argparse
import sys

from include.errors import FlywheelError
from include.use_cases.explain import explained


def main(arguments: list[str] | None = None) -> int:
    """Print it; exit code 1 with a message when the configuration is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("use_case")
    try:
        for line in explained(parser.parse_args(arguments).use_case):
            print(line)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
