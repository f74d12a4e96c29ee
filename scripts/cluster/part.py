"""`python -m scripts.cluster.part ROLE`: become one part of a cluster. What a container runs.

It reads the cluster's settings from its environment, writes the files that the role reads, and
replaces itself by the role's program, which is given the role's own variables and no others.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from include.errors import ConfigError, FlywheelError
from include.settings import Settings
from scripts.cluster.environment import NEEDS, command, environment, files
from scripts.cluster.parts import write_files
from scripts.cluster.settings import ClusterSettings

_OF_THE_MACHINE = (
    "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)  # fmt: skip
"""How EKS and ECS tell a container its role at AWS."""
_KEPT = ("LANG", "TZ", "HOME", "FLYWHEEL_CODE_VERSION", "FLYWHEEL_WARM_TASKS", *_OF_THE_MACHINE)
"""What an image, its platform or a person sets that is no setting of the cluster."""


def prepared(role: str, home: Path, env: dict[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Write a role's files into its home; return its program and its variables.

    Raises
    ------
    ConfigError
        There is no such role, or a secret that it needs is not set.
    """
    if role not in NEEDS:
        raise ConfigError(f"There is no role {role!r}. Give one of {', '.join(NEEDS)}.")
    settings = ClusterSettings.from_env(env)
    write_files(files(role, settings), home)
    variables = {name: env[name] for name in _KEPT if name in env}
    variables |= environment(role, settings, home)
    if role == "init":  # it makes the databases, so it reads the cluster's own settings
        variables = {**env, **variables}
    return command(role, f"{role}-{socket.gethostname()}"), variables


def main(arguments: list[str]) -> None:
    """Become the part."""
    if len(arguments) != 1:
        raise ConfigError(f"Give one role of {', '.join(NEEDS)}.")
    program, variables = prepared(arguments[0], Settings.from_env().home, dict(os.environ))
    os.execvpe(program[0], program, variables)  # noqa: S606 - the process becomes the part


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except FlywheelError as error:
        sys.exit(str(error))
