"""Back up and restore a cluster: Postgres by pg_dump, the object store by copying prefixes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from include.errors import ConfigError, ServiceUnavailable
from include.settings import Settings
from scripts.backup import keys as key_folder
from scripts.backup import manifest, steps
from scripts.backup.steps import DATABASES, Places
from scripts.backup.trees import Tree
from scripts.cluster import aws, initialise, postgres
from scripts.cluster.cluster import Cluster
from scripts.cluster.services import tool
from scripts.cluster.settings import ClusterSettings

KIND = "cluster"
MEMORIES = ("models", "serving", "trainings")
"""Folders of a part's home that rest on numbers of model versions or promotions."""


def save(
    settings: ClusterSettings, folder: Path, say: Callable[[str], None] = print
) -> manifest.Manifest:
    """Back up a cluster that runs.

    Raises
    ------
    ConfigError
        pg_dump is of another major version than the server, or the folder is not empty.
    ServiceUnavailable
        Postgres or the object store does not answer.
    """
    major = _major(settings, "pg_dump")
    return steps.save(
        folder,
        kind=KIND,
        trees=_trees(settings),
        verify_key=settings.verify_keys(),
        save_database=lambda name, to: _dump(settings, name, to),
        airflow="airflow",
        mlflow=("mlflow", "mlflow_users"),
        postgres=major,
        say=say,
    )


def save_keys(file: Path, keys: Path, folder: Path) -> None:
    """Copy the env file, which holds every secret, into a folder of its own."""
    key_folder.check_folder(keys, folder)
    key_folder.save({file.name: file}, keys)


def restore(cluster: Cluster, folder: Path, replace: str = "") -> None:
    """Start a cluster of plain processes with what a backup holds.

    The services are started first, then they are filled, then the databases are migrated.

    Raises
    ------
    ConfigError
        There are databases or files already, or the backup does not suit this code.
    DataContractError
        The backup is not whole.
    """
    made = manifest.read(folder, KIND)
    variable = ClusterSettings.variable("verify_key_base64")
    key_folder.check_known(folder, cluster.settings.verify_keys(), variable)
    cluster.up(fill=lambda: fill(cluster.settings, folder, made, replace))


def fill(
    settings: ClusterSettings,
    folder: Path,
    made: manifest.Manifest,
    replace: str = "",
    say: Callable[[str], None] = print,
) -> None:
    """Fill Postgres and the object store, which run, from a backup that was checked."""
    major = _major(settings, "pg_restore")
    if made.postgres is not None and int(major) < int(made.postgres):
        raise ConfigError(
            f"{folder} was made of Postgres {made.postgres}, and the server is {major}. Restore "
            "into the same major version, or a later one."
        )
    initialise.databases(settings)
    initialise.buckets(settings)
    trees = _trees(settings)
    consent = settings.lake_uri
    steps.check_empty(trees, replace, consent)
    full = [name for name in initialise.DATABASES if not _is_empty(settings, name)]
    if full and replace != consent:
        raise ConfigError(
            f"The databases {', '.join(full)} must be empty, and are not. Restore into another "
            f"cluster; or, to give up what is there now, say so: REPLACE={consent}"
        )
    say(f"Restoring what was saved at {made.made_at}")
    for name in full:
        _execute(settings, name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    for name in initialise.DATABASES:
        _restore(settings, name, folder / DATABASES / f"{name}.dump")
    for name, tree in trees.items():
        tree.empty()
        if (folder / name).exists():
            tree.fill(folder / name)
    forget(settings.cluster_home)


def forget(cluster_home: Path) -> None:
    """Remove what parts remember of what was given up.

    Numbers of model versions begin where the backup ends: a package in a cache would be taken for
    the new one of its number. And serving follows no promotion that is older than the newest that
    it has seen, and would add the requests of its journal.
    """
    for home in cluster_home.glob("wheel/homes/*"):
        for name in MEMORIES:
            shutil.rmtree(home / name, ignore_errors=True)
            if (home / name).exists():
                raise ServiceUnavailable(
                    f"{home / name} cannot be removed, and belongs to what was given up. Remove "
                    "it, and restore again."
                )


def _trees(settings: ClusterSettings) -> dict[str, Tree]:
    places = Places(settings.lake_uri, settings.landing_uri, settings.artifacts_uri)
    library = Settings.from_env(
        {"FLYWHEEL_LAKE_URI": settings.lake_uri, **aws.addresses(settings), **aws.keys(settings)}
    )
    return places.trees(library.storage_options())


def _major(settings: ClusterSettings, program: str) -> str:
    """Return the server's major version, which must be the program's."""
    server = _execute(settings, "airflow", "SHOW server_version_num", as_admin=True)
    major = str(int(server) // 10_000)
    told = subprocess.run(
        [tool(program), "--version"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"\) (\d+)", told)
    if match is None or match[1] != major:
        raise ConfigError(
            f"{tool(program)} must be of the server's major version, {major}, and is: "
            f"{told.strip()}. Install postgresql-client-{major}."
        )
    return major


def _dump(settings: ClusterSettings, name: str, folder: Path) -> None:
    _run(settings, name, "pg_dump", "--format=custom", f"--file={folder / name}.dump")


def _restore(settings: ClusterSettings, name: str, file: Path) -> None:
    _run(settings, name, "pg_restore", "--no-owner", "--no-acl", "--exit-on-error",
         "--single-transaction", f"--dbname={name}", str(file))  # fmt: skip


def _run(settings: ClusterSettings, name: str, program: str, *arguments: str) -> None:
    owner = initialise.DATABASES[name]
    # By the environment: a command line shows the password to every process of the machine.
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PGHOST": settings.postgres_host,
        "PGPORT": str(settings.postgres_port),
        "PGUSER": owner,
        "PGPASSWORD": settings.secret(f"{owner}_database_password"),
        "PGDATABASE": name,
    }
    done = subprocess.run(
        [tool(program), *arguments], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ServiceUnavailable(f"{program} of {name} failed: {done.stderr.strip()}")


def _is_empty(settings: ClusterSettings, name: str) -> bool:
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    return int(_execute(settings, name, count)) == 0


def _execute(
    settings: ClusterSettings, name: str, statement: str, *, as_admin: bool = False
) -> str:
    """Execute a statement, and return the first cell of what it answers, or nothing."""
    import psycopg

    whose = () if as_admin else (name, initialise.DATABASES[name])
    try:
        with postgres.connect(settings, *whose) as connection:
            answer = connection.execute(statement)
            first = answer.fetchone() if answer.description else None
            return str(first[0]) if first else ""
    except psycopg.Error as error:
        where = f"{settings.postgres_host}:{settings.postgres_port}"
        raise ServiceUnavailable(
            f"Postgres at {where} did not answer: {str(error).strip()}. Look at `make "
            "cluster-status`."
        ) from error
