"""The signed list of a model package's files: what is in it, whole, and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from include.errors import DataContractError
from include.registry import signing

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path, signing_key: Path, **about: object) -> str:
    """Write the manifest of every file under `folder`, and its signature.

    Parameters
    ----------
    folder : Path
        The package, complete.
    signing_key : Path
        Ed25519 private key.
    **about : str or list of str
        What the package is (its use case, its training run, the types of its own Python that its
        model may hold), signed along.

    Returns
    -------
    str
        SHA-256 of the manifest, which names the whole package.
    """
    files = {name: sha256(folder / name) for name in sorted(_files(folder))}
    content = json.dumps({**about, "files": files}, indent=1, sort_keys=True).encode()
    (folder / MANIFEST).write_bytes(content)
    (folder / SIGNATURE).write_bytes(signing.sign(content, signing_key))
    return hashlib.sha256(content).hexdigest()


def check(folder: Path, verify_key: Path) -> dict[str, Any]:
    """Check the signature, then every file, and return the manifest.

    Nothing is parsed before the signature over it is found good.

    Raises
    ------
    DataContractError
        If the signature is not ours, or a file is missing, altered or added; the message names it.
    ConfigError
        If the verifying key cannot be read.
    """
    try:
        content, signature = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_bytes()
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        why = f"must hold {MANIFEST} and {SIGNATURE}, {missing} is missing"
        raise _refused(folder, why) from error
    if not signing.verify(content, signature, verify_key):
        why = f"{SIGNATURE} must sign {MANIFEST} with the private half of {verify_key}, it does not"
        raise _refused(folder, why)
    manifest: dict[str, Any] = json.loads(content)
    listed: dict[str, str] = manifest["files"]
    present = _files(folder) - {MANIFEST, SIGNATURE}
    if added := sorted(present - set(listed)):
        raise _refused(folder, f"must hold only what {MANIFEST} lists, got also {added}")
    if missing_files := sorted(set(listed) - present):
        raise _refused(folder, f"must hold all that {MANIFEST} lists, {missing_files} are missing")
    if altered := [name for name, digest in listed.items() if sha256(folder / name) != digest]:
        raise _refused(folder, f"must be as {MANIFEST} lists, altered: {altered}")
    return manifest


def _files(folder: Path) -> set[str]:
    """Return the relative names of all files; links are refused, they can point anywhere later."""
    paths = list(folder.rglob("*"))
    if links := sorted(str(path.relative_to(folder)) for path in paths if path.is_symlink()):
        raise _refused(folder, f"must not hold symbolic links, got {links}")
    return {path.relative_to(folder).as_posix() for path in paths if not path.is_dir()}


def _refused(folder: Path, why: str) -> DataContractError:
    return DataContractError(
        f"model package {folder}: {why}. Nothing of it was loaded. "
        "Do not use it: train again, and find out who changed the artifact store."
    )
