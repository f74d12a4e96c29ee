"""Secrets are no part of a backup: they go into a folder of their own, when one is named."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from include.errors import ConfigError
from include.registry import signing

VERIFY_KEY = "verify.pem"
"""The public keys, in a backup and beside the secrets."""


def check_folder(keys: Path, backup: Path) -> None:
    """Refuse a folder of keys inside the backup.

    Raises
    ------
    ConfigError
        Whoever could read the backup could then sign models.
    """
    if keys.absolute().is_relative_to(backup.absolute()):
        raise ConfigError(
            f"KEYS must be a folder outside of the backup, got {keys}: who reads a backup must not "
            "be able to sign models. Keep the two in different places."
        )


def save(sources: Mapping[str, Path], keys: Path) -> None:
    """Copy files and folders of secrets, readable by their owner only.

    Raises
    ------
    ConfigError
        The folder is not empty.
    """
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.chmod(0o700)
    if any(keys.iterdir()):
        raise ConfigError(f"{keys} must be empty or not exist: keys are never overwritten.")
    for name, source in sources.items():
        if source.is_dir():
            shutil.copytree(source, keys / name)
        elif source.exists():
            shutil.copy2(source, keys / name)
    close(keys)


def check_known(folder: Path, known: bytes, where: str) -> None:
    """Refuse a backup with a public key that is not known from elsewhere.

    Its promotions would be refused; and who may write the backup could have added the key.

    Parameters
    ----------
    folder
        Of the backup.
    known
        The public keys that are believed, PEM.
    where
        They are, for the message.

    Raises
    ------
    ConfigError
        There is such a key.
    """
    theirs = signing.public_keys((folder / VERIFY_KEY).read_bytes(), str(folder / VERIFY_KEY))
    ours = {signing.fingerprint(key) for key in signing.public_keys(known, where)}
    if unknown := sorted({signing.fingerprint(key) for key in theirs} - ours):
        raise ConfigError(
            f"{folder} believes the signing keys {', '.join(unknown)}, which {where} does not "
            "hold: its promotions would be refused, and nothing would serve. Use the keys that "
            f"belong to it; or, where you know these, add {folder / VERIFY_KEY} to them, as "
            "docs/rotation.md says."
        )


def close(folder: Path) -> None:
    """Let the owner alone read a folder and all that is in it."""
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
