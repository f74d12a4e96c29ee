"""Ed25519 signatures: who holds the private key can make a model package that serving will load."""

from __future__ import annotations

import os
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


def ensure_keys(signing: Path, verify: Path) -> None:
    """Make a key pair where there is none; an existing private key is kept.

    The private key is made whole or not at all, with mode 0600. Of two processes that start
    together one wins, and both end with its pair. A missing public key is derived from the private
    one.

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
    public = _private(signing).public_key()
    if not verify.exists():
        _write_once(verify, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def sign(data: bytes, signing: Path) -> bytes:
    """Return the 64-byte signature of `data`.

    Raises
    ------
    ConfigError
        If there is no usable private key at `signing`.
    """
    return _private(signing).sign(data)


def verify(data: bytes, signature: bytes, verify_key: Path) -> bool:
    """Return whether `signature` was made over `data` by the holder of the private key.

    Raises
    ------
    ConfigError
        If there is no usable public key at `verify_key`.
    """
    try:
        _public(verify_key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


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


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: the verifying key must be an Ed25519 public key in PEM, got: {error}. "
            "Set FLYWHEEL_VERIFY_KEY to the public half of the key that signs model packages."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: the verifying key must be Ed25519, got {type(key).__name__}.")
    return key
