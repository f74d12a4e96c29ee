"""The one file of a cluster's settings: read by `make cluster-up` and by docker-compose."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from include.errors import ConfigError
from include.settings import REPO
from scripts.cluster.settings import KEY_PAIR, MADE, ClusterSettings, verify_key_of
from scripts.stack import secret_files

VARIABLE = "FLYWHEEL_CLUSTER_ENV"
_VERIFY_KEY = ClusterSettings.variable("verify_key_base64")
_LINE = re.compile(r"([A-Z][A-Z0-9_]*)=([^'\"#$\\]*)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=")
_HEAD = """\
# Settings of the cluster, for `make cluster-up` and docker-compose. It holds every secret.
# Other settings: scripts/cluster/settings.py. A line is NAME=value, without quotes, # or $.
"""


def path(env: Mapping[str, str] = os.environ) -> Path:
    """Return where the file is: `FLYWHEEL_CLUSTER_ENV`, or `cluster.env` in the repository."""
    return Path(env.get(VARIABLE) or REPO / "cluster.env").expanduser().absolute()


def read(file: Path) -> dict[str, str]:
    """Return what the file says.

    Raises
    ------
    ConfigError
        It does not exist, others may read it, or a line is not `NAME=value`.
    """
    if not file.exists():
        raise ConfigError(f"{file} does not exist. Make it with `make secrets`.")
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise ConfigError(f"{file} holds secrets, and others may read it. Run `chmod 600 {file}`.")
    found: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            # Never more than a name: a pasted PEM continues in lines without one.
            name = _NAME.match(text)
            raise ConfigError(
                f"{file}, line {number}{f' ({name[1]})' if name else ''}: must be NAME=value, the "
                "value without quotes, #, $ and backslash. docker-compose reads the file too, and "
                "would read such a value differently."
            )
        if match[1] in found:
            raise ConfigError(f"{file}, line {number}: {match[1]} is set twice. Remove one.")
        found[match[1]] = match[2]
    return found


def ensure(file: Path, more: Mapping[str, str] | None = None) -> list[str]:
    """Make the file, or add the secrets that it lacks, and the public half of the signing key.

    Parameters
    ----------
    file
        Where it is.
    more
        Settings to write into a new file, such as ports, or keys that a backup rests on.

    Returns
    -------
    list of str
        The variables that were added.
    """
    known = read(file) if file.exists() else None
    new = dict(more or {}) if known is None else {}
    given = {**(known or {}), **new}
    by_role = KEY_PAIR if given.get(ClusterSettings.variable("aws_connection")) else ()
    for field, make in MADE.items():
        if field in by_role:
            continue
        if not given.get(ClusterSettings.variable(field)):
            new[ClusterSettings.variable(field)] = make()
    both = {**(known or {}), **new}
    verify_key = verify_key_of(both[ClusterSettings.variable("signing_key_base64")])
    if not _begins(both.get(_VERIFY_KEY), verify_key):
        raise ConfigError(
            f"{file}: {_VERIFY_KEY} must be the public half of the signing key, or begin with it, "
            "and does not. Remove the line; `make secrets` writes the right one. (Earlier keys "
            "that are still trusted follow it: docs/rotation.md.)"
        )
    if not both.get(_VERIFY_KEY):
        new[_VERIFY_KEY] = verify_key
    text = _HEAD if known is None else file.read_text()
    empty = {(name, "") for name in new}
    # A line without a value counts as missing; its name must not be in the file twice.
    text = "".join(
        f"{line}\n" for line in text.splitlines() if line.strip().partition("=")[::2] not in empty
    )
    text += "".join(f"{name}={value}\n" for name, value in new.items())
    if new:
        file.parent.mkdir(parents=True, exist_ok=True)
        secret_files.replace(file, text)
    return list(new)


def change(file: Path, values: Mapping[str, str]) -> None:
    """Give variables that the file has other values; every other line stays as it is."""
    known = read(file)
    if unknown := values.keys() - known.keys():
        raise ConfigError(f"{file} must have {sorted(unknown)}. `make secrets` adds them.")
    lines = [
        f"{name}={values[name]}" if (name := line.strip().partition("=")[0]) in values else line
        for line in file.read_text().splitlines()
    ]
    secret_files.replace(file, "\n".join(lines))


def _begins(verify_keys: str | None, key: str) -> bool:
    """Say whether a signing key's public half is the first of several, all PEM in base64."""
    if not verify_keys:
        return True  # it is written now
    try:
        return base64.b64decode(verify_keys).startswith(base64.b64decode(key))
    except ValueError:
        return False


def load(file: Path | None = None) -> ClusterSettings:
    """Return the settings that the file gives; what the caller's environment says is not asked."""
    return ClusterSettings.from_env(read(file or path()))
