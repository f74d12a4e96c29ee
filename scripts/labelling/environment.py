"""Label Studio's own Python environment, and its variables."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from include.errors import ServiceUnavailable
from scripts.labelling.place import LabellingPlace
from scripts.stack import secret_files
from scripts.stack.parts import Part
from scripts.stack.settings import HOST, MARKER, StackSettings, program

LOCK = Path(__file__).with_name("requirements.txt")
NAME = "label-studio"
_INSTALLED = "installed.sha256"


def install(place: LabellingPlace, lock: Path = LOCK) -> bool:
    """Install the locked packages; return False where they are installed already.

    Raises
    ------
    ServiceUnavailable
        The environment could not be made, or the packages could not be fetched.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    note = place.environment / _INSTALLED
    if note.exists() and note.read_text() == digest:
        return False
    note.unlink(missing_ok=True)  # an interrupted installation must not look complete
    python = str(place.environment / "bin" / "python")
    uv = program("uv")
    steps = [[uv, "pip", "sync", "--compile-bytecode", "--require-hashes", "--python", python]]
    if not Path(python).exists():
        steps.insert(0, [uv, "venv", "--python", sys.executable, str(place.environment)])
    steps[-1].append(str(lock))
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServiceUnavailable(
                f"`{' '.join(step)}` failed, so Label Studio is not installed: "
                f"{done.stderr.strip()[-500:]}"
            )
    note.write_text(digest)
    return True


def variables(settings: StackSettings, place: LabellingPlace) -> dict[str, str]:
    """Return the environment of Label Studio; it sees nothing else of the caller's."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(place.home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        MARKER: str(place.home),
        "LABEL_STUDIO_BASE_DATA_DIR": str(place.data),
        "LABEL_STUDIO_USERNAME": secret_files.LABEL_STUDIO_USER,
        "LABEL_STUDIO_PASSWORD": secret_files.read(settings, "label_studio_password"),
        "LABEL_STUDIO_USER_TOKEN": secret_files.read(settings, "label_studio_token"),
        # We make the token and keep it with the other secrets. Without this, Label Studio accepts
        # only tokens that a person makes in its pages.
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        # Annotators come by the link of an invitation, not by a form that is open to everybody.
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        # Nothing is sent to its makers: no usage, no errors, no look for newer versions.
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }


def part(settings: StackSettings, place: LabellingPlace) -> Part:
    """Return Label Studio as a part that a manager keeps."""
    command = (
        str(place.environment / "bin" / "label-studio"), "start", "--no-browser",
        "--internal-host", HOST, "--port", str(place.port),
    )  # fmt: skip
    return Part(NAME, command, variables(settings, place))
