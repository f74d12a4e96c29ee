"""Secrets of one stack: made once, in files that only their owner can read, never printed."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from include.tracking_server.users import USERS as MLFLOW_USERS
from scripts.stack.settings import StackSettings

ADMIN = "admin"
HOUSEKEEPING = "housekeeping"
LABEL_STUDIO_USER = "flywheel@localhost"
"""The first user of Label Studio, which wants an address of mail as a name."""


def ensure(settings: StackSettings) -> None:
    """Make the secrets that do not exist yet; keep those that do."""
    settings.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.secrets.chmod(0o700)
    # Airflow signs with HS512, which wants a key of at least 64 bytes.
    _write_once(settings.secrets / "jwt_secret", secrets.token_hex(64))
    _write_once(settings.secrets / "api_secret_key", secrets.token_hex(32))
    fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    _write_once(settings.secrets / "fernet_key", fernet)
    users = (ADMIN, HOUSEKEEPING)
    passwords = {user: secrets.token_urlsafe(18) for user in users}
    _write_once(settings.password_file, json.dumps(passwords))
    _write_once(settings.secrets / "mlflow_secret_key", secrets.token_hex(32))
    for user in MLFLOW_USERS:
        _write_once(mlflow_password_file(settings, user), secrets.token_urlsafe(18))
    _write_once(settings.secrets / "label_studio_password", secrets.token_urlsafe(18))
    # 40 hex digits are what its table of tokens holds.
    _write_once(settings.secrets / "label_studio_token", secrets.token_hex(20))


def read(settings: StackSettings, name: str) -> str:
    """Return the secret called `name`."""
    return (settings.secrets / name).read_text().strip()


def airflow_password(settings: StackSettings, user: str = ADMIN) -> str:
    """Return the password of one of Airflow's users."""
    return str(json.loads(settings.password_file.read_text())[user])


def mlflow_password_file(settings: StackSettings, user: str) -> Path:
    """Return the file that holds the password of one of MLflow's users."""
    return settings.secrets / f"mlflow_{user}_password"


def mlflow_password(settings: StackSettings, user: str) -> str:
    """Return the password of one of MLflow's users."""
    return mlflow_password_file(settings, user).read_text().strip()


def _write_once(path: Path, text: str) -> None:
    if path.exists():
        path.chmod(0o600)
        return
    replace(path, text)


def replace(path: Path, text: str) -> None:
    """Write a secret, or put another in its place: whole, and readable by its owner only."""
    # Written under another name first: a crash in between must not leave an empty secret behind.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text if text.endswith("\n") else f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
