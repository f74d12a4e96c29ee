"""Command line of the embedded stack: `python -m scripts.stack up|down|status|logs`."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from include.errors import FlywheelError
from include.settings import Settings
from scripts.stack.parts import NAMES
from scripts.stack.settings import StackSettings
from scripts.stack.stack import Stack


def up(stack: Stack, options: argparse.Namespace) -> int:
    """Start the stack and say where it is."""
    stack.up()
    print_addresses(stack)
    return 0


def down(stack: Stack, options: argparse.Namespace) -> int:
    """Stop the stack and whatever is left of it."""
    stopped = stack.down()
    print(f"Stopped: {', '.join(stopped)}." if stopped else "The stack is not up; nothing to stop.")
    return 0


def status(stack: Stack, options: argparse.Namespace) -> int:
    """Say how each part is; exit code 1 when not all are healthy."""
    now = stack.status()
    if not now.parts:
        print(f"The stack is not up (home {stack.settings.home}). Start it with `make up`.")
        return 1
    for name, words in now.parts.items():
        count, code = now.restarts.get(name, (0, None))
        note = f" (restarted {count} times, last exit code {code})" if count else ""
        print(f"  {name:<14} {words}{note}")
    if now.manager:
        print(now.manager)
    print(f"  memory         {stack.memory_bytes() / 2**30:.2f} GiB")
    print_addresses(stack)
    print_use_cases(stack)
    return 0 if now.healthy else 1


def logs(stack: Stack, options: argparse.Namespace) -> int:
    """Show the end of the parts' logs, and with --follow what is added."""
    names = options.parts or ["stack", *NAMES]
    files = [str(log) for log in map(stack.settings.log, names) if log.exists()]
    if not files:
        print(f"There are no logs in {stack.settings.logs}. Start the stack with `make up`.")
        return 1
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-n", "20", *(["-F"] if options.follow else []), *files])  # noqa: S606


def print_addresses(stack: Stack) -> None:
    """Print where everything is, and where the password stands; never the password."""
    for name, address in stack.addresses().items():
        print(f"  {name:<14} {address}")
    for name, login in (("Airflow", stack.login()), ("MLflow", stack.mlflow_login())):
        print(f"  Log in to {name} as {login.user!r}; the password is in {login.password_file}")


def print_use_cases(stack: Stack) -> None:
    """Print one line per use case: what serves, how good it is, what was decided."""
    # pyarrow and Delta take half a second to import, which no other command needs.
    from include.lake.table import Lake
    from include.overview.cards import cards_of
    from include.overview.words import lines
    from include.use_cases.loader import load_all

    settings = Settings.from_env(stack.environment())
    lake = Lake(settings.lake_uri, settings.storage_options())
    found = load_all(settings.use_cases).use_cases.values()
    for told in lines(cards_of(found, lake, settings.verify_key)):
        print(f"  {told}")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.stack", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up|down|status|logs")
    for command in (up, down, status, logs):
        sub = commands.add_parser(command.__name__, help=command.__doc__)
        sub.set_defaults(command=command)
        if command is logs:
            sub.add_argument(
                "parts", nargs="*", help=f"of {', '.join(('stack', *NAMES))}; default all"
            )
            sub.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    options = parser.parse_args(arguments)
    # A CI that gives up sends SIGTERM: what `up` started must not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        stack = Stack(StackSettings.from_env(), say=lambda line: print(line, flush=True))
        return int(options.command(stack, options))
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
