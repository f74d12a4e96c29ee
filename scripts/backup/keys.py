"""Secrets are no part of a backup: they go into a folder of their own, when one is named."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from include.errors import ConfigError


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


def close(folder: Path) -> None:
    """Let the owner alone read a folder and all that is in it."""
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
