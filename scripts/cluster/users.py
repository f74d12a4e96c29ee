"""A user of its own for each part, where root starts the cluster: no part reads another's home.

The users are numbers without an account. They lie where no system gives numbers away: systemd's
list of users and groups calls 60706 to 61183 unused.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from include.settings import REPO

FIRST = 60_706
_CODE = ("dags", "include", "plugins", "scripts")
_TRY = """
import sys, pydantic, scripts.cluster.users
assert sys.base_prefix == sys.argv[1], f"it takes its library from {sys.base_prefix}"
[open(path).close() for path in sys.argv[2:]]
"""


def uid_of(name: str, names: Iterable[str]) -> int:
    """Return the user of a part, among the names of all."""
    return FIRST + list(names).index(name)


def switched(uid: int, command: tuple[str, ...], gid: int | None = None) -> tuple[str, ...]:
    """Return the command that runs as another user, in no other group than its own."""
    switch = ("setpriv", f"--reuid={uid}", f"--regid={uid if gid is None else gid}")
    return (*switch, "--clear-groups", "--", *command)


@cache
def hindrance(use_cases: Path) -> str | None:
    """Say why parts cannot have users of their own; None where they can.

    Another user must be able to run this Python and to read the code and the use cases: often they
    lie below a person's home, which is closed to others.
    """
    if os.geteuid() != 0:
        return "only root may start processes as other users"
    readable = [str(file) for file in sorted(use_cases.glob("*/*.yaml"))[:1]]
    # By `env`: setpriv opens the program before it gives root's rights up, and what a part starts
    # later is not opened so.
    program = ("env", sys.executable, "-c", _TRY, sys.base_prefix, *readable)
    tried = subprocess.run(
        switched(FIRST, program), cwd=REPO, capture_output=True, text=True, check=False, env={}
    )
    if tried.returncode == 0:
        return None
    said = tried.stderr.strip().splitlines()
    return (
        f"another user cannot run {sys.executable} with the code in {REPO} and the use cases in "
        f"{use_cases} ({said[-1] if said else 'no words'})"
    )


def variables(name: str, home: Path) -> dict[str, str]:
    """Return what a part needs to know as another user than the owner of the code."""
    return {
        "LOGNAME": name,  # Airflow asks for the name of its user, and a number has none
        "HOME": str(home),
        # git names the revision of a folder of another user only where it is told to.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(REPO),
    }


def give(folder: Path, uid: int) -> None:
    """Give a folder and all that is in it to a user, and close it to others."""
    folder.chmod(0o700)
    os.chown(folder, uid, uid)
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(here) / name, uid, uid, follow_symlinks=False)


def write_private(file: Path, content: bytes) -> None:
    """Write a whole file that only the owner of its folder reads.

    By a draft that takes the file's place: the owner of the folder may have put a link there, which
    root must not follow; and a part that runs reads the former file or this one, never half of it.
    """
    owner = file.parent.stat()
    descriptor, draft = tempfile.mkstemp(dir=file.parent)  # its mode is 0600
    with os.fdopen(descriptor, "wb") as output:
        output.write(content)
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    Path(draft).replace(file)


def compile_code() -> None:
    """Compile our own code: other users may not write what a part imports in each task."""
    for folder in _CODE:
        compileall.compile_dir(str(REPO / folder), quiet=2)
