"""Ed25519 signatures: who holds the private key can make a model package that serving will load.

The file of the verifying key may hold several public keys, one PEM block after the other: the one
that signs today, and earlier ones whose signatures are still trusted (docs/rotation.md).
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from include.errors import ConfigError

_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----\s*", re.DOTALL)


def ensure_keys(signing: Path, verify: Path) -> None:
    """Make a key pair where there is none; an existing private key is kept.

    The private key is made whole or not at all, with mode 0600. Of two processes that start
    together one wins, and both end with its pair. A missing public key is derived from the private
    one. Where a private key is made beside public keys that are there already (a backup is restored
    without its keys), its public half is put before them: what they verify stays valid.

    Parameters
    ----------
    signing : Path
        Private key, PEM (PKCS 8).
    verify : Path
        Public key, PEM.
    """
    if not signing.exists():
        private = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        _write_once(signing, private)
        if verify.exists():
            _replace(verify, public_pem(signing) + verify.read_bytes())
    if not verify.exists():
        _write_once(verify, public_pem(signing))


def rotate(signing: Path, verify: Path) -> None:
    """Make a new private key; the public keys that are there stay valid behind the new one.

    What serves and runs goes on: the new public key is believed before anything is signed with it.

    Raises
    ------
    ConfigError
        The two files are no pair.
    """
    check_pair(signing, verify)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _replace(verify, _pem(private.public_key()) + verify.read_bytes())
    _replace(signing, pem)


def withdraw(signing: Path, verify: Path) -> None:
    """Believe the present key alone from now on.

    Raises
    ------
    ConfigError
        The two files are no pair.
    """
    check_pair(signing, verify)
    _replace(verify, public_pem(signing))


def check_pair(signing: Path, verify: Path) -> None:
    """Refuse a private key whose public half is not the first one that is believed.

    Raises
    ------
    ConfigError
        It is another one.
    """
    first = public_keys(_content(verify), str(verify))[0]
    if _pem(first) != public_pem(signing):
        raise ConfigError(
            f"{verify}: the first key must be the public half of {signing}, and is not. Set "
            "FLYWHEEL_SIGNING_KEY and FLYWHEEL_VERIFY_KEY to one pair."
        )


def public_pem(signing: Path) -> bytes:
    """Return the public half of a private key, PEM."""
    return _pem(_private(signing).public_key())


def public_keys(content: bytes, where: str) -> list[Ed25519PublicKey]:
    """Read public keys, one PEM block after the other.

    Parameters
    ----------
    content : bytes
        PEM.
    where : str
        For the message.

    Raises
    ------
    ConfigError
        There is none, or a block is no Ed25519 public key.
    """
    blocks = _BLOCK.findall(content)
    try:
        if not blocks or _BLOCK.sub(b"", content).strip():
            raise ValueError("text that is no PEM block" if content.strip() else "nothing")
        keys = [load_pem_public_key(block) for block in blocks]
    except ValueError as error:
        raise ConfigError(
            f"{where}: the verifying key must be an Ed25519 public key in PEM, or several one "
            f"after the other, got: {error}. Set FLYWHEEL_VERIFY_KEY to the public half of the "
            "key that signs model packages."
        ) from error
    found = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if len(found) != len(keys):
        other = next(key for key in keys if not isinstance(key, Ed25519PublicKey))
        raise ConfigError(
            f"{where}: the verifying key must be Ed25519, got {type(other).__name__}."
        )
    return found


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the sha256 of a public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(data: bytes, signing: Path) -> bytes:
    """Return the 64-byte signature of `data`.

    Raises
    ------
    ConfigError
        If there is no usable private key at `signing`.
    """
    return _private(signing).sign(data)


def verify(data: bytes, signature: bytes, verify_key: Path) -> bool:
    """Return whether `signature` was made over `data` by the holder of one of the private keys.

    Raises
    ------
    ConfigError
        If there is no usable public key at `verify_key`.
    """
    for key in public_keys(_content(verify_key), str(verify_key)):
        with suppress(InvalidSignature):
            key.verify(signature, data)
            return True
    return False


def _write_once(path: Path, content: bytes) -> None:
    """Write a whole file with mode 0600, unless another process did first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:  # its mode is 0600
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(file.name, path)  # unlike a rename, it never replaces
    finally:
        Path(file.name).unlink()


def _replace(path: Path, content: bytes) -> None:
    """Put a whole file of mode 0600 in the place of another: readers see one or the other."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: the signing key must be an Ed25519 private key in PEM, got: {error}. "
            "Set FLYWHEEL_SIGNING_KEY to one; `make up` makes a pair where there is none."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: the signing key must be Ed25519, got {type(key).__name__}.")
    return key


def _content(verify: Path) -> bytes:
    try:
        return verify.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{verify}: the verifying key must be an Ed25519 public key in PEM, got: {error}. "
            "Set FLYWHEEL_VERIFY_KEY to the public half of the key that signs model packages."
        ) from error


def _pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
