"""What a backup says of itself: what it holds, of which versions, with the digest of each file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

from include import provenance
from include.errors import ConfigError, DataContractError
from include.lake.errors import is_remote
from scripts.backup.tables import Versions
from scripts.backup.trees import Digest, Digests, digests_below
from scripts.stack.layout import LAYOUT

FILE = "manifest.json"
FORMAT = 1
"""Of the backup's folder: which files are where."""
_PACKAGES = ("apache-airflow-core", "mlflow")
"""They migrate their databases, and never back."""


@dataclass(frozen=True)
class Manifest:
    """One backup.

    Attributes
    ----------
    kind : str
        `stack` or `cluster`.
    layout : int
        Of the home: scripts/stack/layout.py.
    made_at : str
        ISO, UTC, when the copying began.
    code_version, lock_hash : str
        By which it was made.
    packages : dict of str to str
        Versions of what keeps databases.
    postgres : str or None
        Major version of the server.
    tables : dict of str to int
        The lake's tables, and the version of each.
    files : dict of str to Digest
        Every file but the manifest.
    """

    kind: str
    layout: int
    made_at: str
    code_version: str
    lock_hash: str
    packages: dict[str, str]
    postgres: str | None
    tables: Versions
    files: Digests
    format: int = FORMAT


def described(
    kind: str, tables: Versions, files: Digests, made_at: datetime, postgres: str | None = None
) -> Manifest:
    """Describe a backup that this code has made."""
    return Manifest(
        kind=kind,
        layout=LAYOUT,
        made_at=made_at.astimezone(UTC).isoformat(timespec="seconds"),
        code_version=provenance.code_version(),
        lock_hash=provenance.lock_hash(),
        packages={name: version(name) for name in _PACKAGES},
        postgres=postgres,
        tables=tables,
        files=files,
    )


def begin(folder: Path) -> None:
    """Make the folder of a new backup.

    Raises
    ------
    ConfigError
        It is an address, or it holds something: a backup is never overwritten.
    """
    if is_remote(str(folder)) or "://" in str(folder):
        raise ConfigError(f"BACKUP must be a folder, got {folder}. Copy it elsewhere afterwards.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigError(
            f"{folder} must be empty or not exist, because a backup is never overwritten. Name "
            "another folder, such as BACKUP=/backups/$(date +%F-%H%M)."
        )
    folder.chmod(0o700)


def write(manifest: Manifest, folder: Path) -> None:
    """Write the manifest: a folder without one is no backup."""
    draft = folder / f"{FILE}.{os.getpid()}"
    with draft.open("w") as file:
        json.dump(asdict(manifest), file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(0o600)
    draft.rename(folder / FILE)


def read(folder: Path, kind: str) -> Manifest:
    """Read the manifest of a backup that this code can restore, and check every file.

    Raises
    ------
    ConfigError
        It is no backup, one of another kind or layout, or by a newer version.
    DataContractError
        A file is missing, changed or added.
    """
    file = folder / FILE
    if not file.is_file():
        raise ConfigError(
            f"{folder} holds no {FILE}: it is no backup, or one that was never finished. Name the "
            "folder of a whole one with BACKUP=..."
        )
    try:
        raw = json.loads(file.read_text())
        if raw["format"] != FORMAT:
            raise ConfigError(
                f"{folder} is a backup of format {raw['format']}, and this version of Flywheel "
                f"reads format {FORMAT}. Restore it with the code that made it: "
                f"{raw['code_version']}."
            )
        raw["files"] = {path: Digest(**each) for path, each in raw["files"].items()}
        manifest = Manifest(**raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataContractError(f"{file} is damaged: {error!r}. Use another backup.") from error
    _check_versions(manifest, folder, kind)
    _check_files(manifest, folder)
    return manifest


def _check_versions(manifest: Manifest, folder: Path, kind: str) -> None:
    if manifest.kind != kind:
        other = {"stack": "make restore", "cluster": "make cluster-restore"}
        raise ConfigError(
            f"{folder} is a backup of a {manifest.kind}, not of a {kind}. Use "
            f"`{other.get(manifest.kind, 'the version that made it')}`."
        )
    if manifest.layout != LAYOUT:
        raise ConfigError(
            f"{folder} has layout {manifest.layout}, and this version of Flywheel needs layout "
            f"{LAYOUT}. Restore it with the code that made it, {manifest.code_version}, and "
            "upgrade as docs/upgrade.md says."
        )
    for name, theirs in manifest.packages.items():
        if Version(theirs) > Version(version(name)):
            raise ConfigError(
                f"{folder} was made with {name} {theirs}, and {version(name)} is installed: its "
                "database cannot be brought back to an earlier version. Check out the code that "
                f"made it, {manifest.code_version}, or a later one."
            )


def _check_files(manifest: Manifest, folder: Path) -> None:
    present = digests_below(folder)
    present.pop(FILE)
    missing = sorted(manifest.files.keys() - present.keys())
    added = sorted(present.keys() - manifest.files.keys())
    changed = sorted(
        path for path, digest in manifest.files.items() if present.get(path, digest) != digest
    )
    found = {"missing": missing, "changed": changed, "added": added}
    if wrong := {what: paths for what, paths in found.items() if paths}:
        words = "; ".join(
            f"{len(paths)} {what}, such as {paths[0]}" for what, paths in wrong.items()
        )
        raise DataContractError(
            f"{folder} is not what its {FILE} says: {words}. Nothing was restored. Use another "
            "backup."
        )
