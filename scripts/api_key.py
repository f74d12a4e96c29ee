"""Make, list and revoke API keys of the scoring server.

python -m scripts.api_key make billing --use-cases flight_delays --days 90 --rate 100
python -m scripts.api_key list
python -m scripts.api_key revoke 5f0c12ab

The server reads the file again when it changes. To replace a key, make another one of the same
name, give it to the client, and revoke the old one.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from include.errors import ConfigError
from include.serving.keys import Key, KeyFile
from include.settings import Settings
from include.use_cases.loader import load_all


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked; exit code 1 with a sentence where it cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        keys = KeyFile(Settings.from_env().serving_keys)
        if options.do == "make":
            _make(keys, options)
        elif options.do == "revoke":
            key = keys.revoke(options.id)
            print(f"Revoked: {_told(key)}")
        else:
            print("\n".join(map(_told, keys.keys().values())) or "There are no keys.")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _make(keys: KeyFile, options: argparse.Namespace) -> None:
    loaded = load_all()
    wanted = [one for one in options.use_cases.split(",") if one]
    there = sorted({*loaded.use_cases, *loaded.broken})
    if unknown := [one for one in wanted if one not in there]:
        raise ConfigError(f"USE_CASE: there is no use case {unknown[0]!r}; there are {there}.")
    first = not keys.keys()
    key, token = keys.make(options.name, wanted, options.days, options.rate)
    if first:
        print("From now on the scoring server answers only who has a key.", file=sys.stderr)
    print(f"{_told(key)}\nKept nowhere, so copy it now:", file=sys.stderr)
    print(token)


def _told(key: Key) -> str:
    until = "for good" if key.expires_at is None else f"until {key.expires_at}"
    if key.has_expired(datetime.now(UTC)):
        until = f"expired {key.expires_at}"
    rate = "" if key.rate is None else f", {key.rate:g} requests a second"
    asked = ", ".join(key.use_cases) or "every use case"
    return f"{key.id}  {key.name}: {asked}, {until}{rate}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="do", required=True)
    make = commands.add_parser("make", help="make a key and print it")
    make.add_argument("name", help="whose it is")
    make.add_argument("--use-cases", default="", help="with commas (default: all)")
    make.add_argument("--days", type=float, help="until it expires (default: never)")
    make.add_argument("--rate", type=float, help="requests a second (default: any)")
    commands.add_parser("list", help="list what is known of them")
    commands.add_parser("revoke", help="remove one").add_argument("id", help="as `list` shows it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
