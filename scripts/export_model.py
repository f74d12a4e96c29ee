"""Write a model version as a folder to embed: `make export MODEL=flight_delays/2 TO=folder`.

    python -m scripts.export_model --model flight_delays/2 --to ~/flight_delays

Exit code 1, and no folder, when the version cannot be exported.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from include.errors import FlywheelError
from include.registry.export import export
from scripts.deployment import Deployment, named


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, write, say what was compared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="USE_CASE/VERSION")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="a new one")
    options = parser.parse_args(arguments)
    folder = options.to.expanduser()
    try:
        use_case, version = named(options.model, "MODEL", "flight_delays/2")
        compared = export(use_case, version, Deployment.of_environment().registry, folder)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{folder}: {options.model}, whose scores equal those of the registered version to "
        f"{compared.largest_difference:.1e} on {compared.rows:,} rows. Read CARD.md; to try it: "
        "pip install -r requirements.txt && python example.py"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
