"""What a stack needs before its parts start: folders, secrets, keys, databases."""

from __future__ import annotations

import subprocess
import sys

from include.errors import ServiceUnavailable
from include.lake.proof import prove
from include.registry.signing import ensure_keys
from include.settings import Settings
from scripts.stack import layout, secret_files
from scripts.stack.environment import airflow_environment, base_environment
from scripts.stack.settings import REPO, StackSettings, program

_MIGRATION_S = 300


def prepare(settings: StackSettings) -> None:
    """Make or upgrade all that is on disk; a second call changes nothing.

    Raises
    ------
    ServiceUnavailable
        A database could not be brought to the installed version; with the end of its log.
    ConfigError
        The home was made by an earlier version whose state this one cannot read, or the object
        store of the lake would lose commits.
    """
    layout.check(settings)
    for folder in (settings.home, settings.airflow_home, settings.mlflow_home, settings.logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.run.mkdir(mode=0o700, exist_ok=True)
    secret_files.ensure(settings)
    base = base_environment(settings)
    library = Settings.from_env(base)
    prove(library.lake_uri, library.storage_options())  # a lake in a folder needs no proof
    ensure_keys(library.signing_key, library.verify_key)
    if "://" not in library.landing_uri:
        (settings.home / "landing").mkdir(mode=0o700, exist_ok=True)
    _migrate(settings, base)
    layout.write(settings)


def _migrate(settings: StackSettings, base: dict[str, str]) -> None:
    commands = {
        # Before anything starts: servers that find an empty database race to fill it, and fail.
        "airflow-migrate": (
            [sys.executable, "-m", "scripts.stack.airflow_database"],
            {**base, **airflow_environment(settings)},
        ),
        "mlflow-migrate": (
            [program("mlflow"), "db", "upgrade", settings.mlflow_database],
            base,
        ),
    }
    running = {}
    for name, (command, env) in commands.items():
        with settings.log(name).open("wb") as output:
            running[name] = subprocess.Popen(
                command, cwd=REPO, env=env, stdout=output, stderr=subprocess.STDOUT, umask=0o077
            )
    try:
        codes = {name: process.wait(timeout=_MIGRATION_S) for name, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    for name, code in codes.items():
        if code != 0:
            log = settings.log(name)
            end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise ServiceUnavailable(
                f"{name} ended with exit code {code}. The end of {log}:\n{end}"
            )
