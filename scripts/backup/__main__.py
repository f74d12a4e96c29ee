"""Command line: `python -m scripts.backup save|restore|save-cluster|restore-cluster FOLDER`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from include.errors import FlywheelError
from scripts.backup import cluster, stack
from scripts.cluster import env_file
from scripts.cluster.cluster import Cluster
from scripts.stack.settings import StackSettings


def save(options: argparse.Namespace) -> None:
    """Back up the embedded stack."""
    made = stack.save(StackSettings.from_env(), options.folder, options.keys)
    _report(options, len(made.files))


def restore(options: argparse.Namespace) -> None:
    """Make a home of a backup."""
    settings = StackSettings.from_env()
    stack.restore(settings, options.folder, options.keys, options.replace)
    print(f"{settings.home} is restored. Start it with `make up`.")


def save_cluster(options: argparse.Namespace) -> None:
    """Back up the cluster of this env file."""
    made = cluster.save(env_file.load(), options.folder)
    if options.keys is not None:
        cluster.save_keys(env_file.path(), options.keys, options.folder)
    _report(options, len(made.files))


def restore_cluster(options: argparse.Namespace) -> None:
    """Start a cluster of plain processes with what a backup holds."""
    started = Cluster(env_file.path())
    cluster.restore(started, options.folder, options.replace)
    print("The cluster is restored, and up.")


def _report(options: argparse.Namespace, files: int) -> None:
    print(f"{options.folder} holds {files} files.")
    if options.keys is None:
        print(
            "Secrets and the signing key are not in it. KEYS=<another folder> copies them there; "
            "docs/backup.md says what a restore is without them."
        )
    else:
        print(f"{options.keys} holds the secrets. Keep it apart from the backup.")


COMMANDS = {
    "save": save,
    "restore": restore,
    "save-cluster": save_cluster,
    "restore-cluster": restore_cluster,
}


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.backup", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("folder", type=_folder, help="of the backup (BACKUP=)")
    parser.add_argument("--keys", type=_folder, help="folder of the secrets (KEYS=)")
    parser.add_argument("--replace", default="", help="what may be given up (REPLACE=)")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        COMMANDS[options.command](options)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("must be a folder: BACKUP=/backups/2026-11-30")
    return Path(text).expanduser().absolute()


if __name__ == "__main__":
    sys.exit(main())
