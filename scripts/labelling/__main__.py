"""Command line of Label Studio: `python -m scripts.labelling up|down`."""

from __future__ import annotations

import argparse
import signal
import sys

from include.errors import FlywheelError
from scripts.labelling.labelling import Labelling
from scripts.stack import secret_files
from scripts.stack.settings import StackSettings


def up(settings: StackSettings, labelling: Labelling) -> None:
    """Start it, and say where it is and where its password stands; never the password."""
    labelling.up()
    print(f"  Label Studio   {labelling.place.url}")
    password = settings.secrets / "label_studio_password"
    print(f"  Log in as {secret_files.LABEL_STUDIO_USER!r}; the password is in {password}")
    print("  Airflow's connection is `label_studio`; a stack that ran before this version has it")
    print("  after `make down` and `make up`.")


def down(settings: StackSettings, labelling: Labelling) -> None:
    """Stop it."""
    stopped = labelling.down()
    print(f"Stopped: {', '.join(stopped)}." if stopped else "Label Studio is not up.")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.labelling", description=__doc__)
    commands = {command.__name__: command for command in (up, down)}
    parser.add_argument("command", choices=commands)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = StackSettings.from_env()
        commands[options.command](
            settings, Labelling(settings, say=lambda line: print(line, flush=True))
        )
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
