"""Check the stack's SQLite files before a part opens them; say what to do with a damaged one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from include.errors import ConfigError
from scripts.stack.settings import StackSettings

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True)
class Database:
    """One SQLite file, and what is lost without it."""

    file: Path
    lost: str


def of_stack(settings: StackSettings) -> list[Database]:
    """Return the SQLite files without which the stack does not start."""
    return [
        Database(
            settings.airflow_home / "airflow.db",
            "Airflow's history: Dag runs, states of tasks, asset events, and what was set in its "
            "pages. The lake, the models and the task logs stay",
        ),
        Database(
            settings.mlflow_home / "mlflow.db",
            "MLflow's experiments, runs and registered models with their aliases: no model serves "
            "until one is trained and deployed again. The lake and MLflow's artifact files stay",
        ),
        Database(
            settings.mlflow_home / "users.db",
            "users and permissions that were added to MLflow by hand. `make up` makes its own "
            "three users again, with the passwords in secrets/",
        ),
    ]


def check(settings: StackSettings) -> None:
    """Raise ConfigError when a database is damaged: which file, what to do, what is lost.

    A file that does not exist, or is empty, is no damage: the migration fills it.
    """
    wrong = [words for each in of_stack(settings) for words in _wrong(each, settings.home)]
    if wrong:
        raise ConfigError("\n".join(wrong))


def _wrong(database: Database, home: Path) -> Iterator[str]:
    file = database.file
    if not file.exists():
        return
    try:
        # Writable: what a killed process began to write is rolled back, as the servers would do.
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        # The low byte is the error's kind, the others its detail.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGED:
            yield (
                f"{file} cannot be opened: {error}. Stop what uses it, and give your user the "
                "right to read and write it; then run `make up`."
            )
            return
        found = str(error)
    if found != "ok":
        aside = home / "damaged"
        yield (
            f"{file} is damaged: SQLite says {found!r}. Restore a backup of it, or move it away "
            f"and start with an empty one: `mkdir -p {aside} && mv {file}* {aside}/`, then "
            f"`make up`. Without a backup you lose {database.lost}."
        )
