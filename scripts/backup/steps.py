"""The steps that are the same for a stack and a cluster, in the order that keeps them consistent.

1. Airflow's database: what it records as done is in the lake, which is copied later.
2. The versions, with the logs, of the tables that name models, such as the promotion ledger.
3. MLflow's databases, then its artifacts: every model that a ledger names is there.
4. The same of the tables that models are made from, each before its own source.
5. The rows of all tables, and what has landed.

Housekeeping finds what the copy lacks: a run that had not ended, an event that was not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from include.errors import ConfigError
from scripts.backup import manifest, tables
from scripts.backup.keys import VERIFY_KEY
from scripts.backup.trees import Digests, Tree, digests_below

LAKE, ARTIFACTS, LANDING, DATABASES = ("lake", "artifacts", "landing", "databases")
"""The parts of a backup's folder."""


@dataclass(frozen=True)
class Places:
    """Where the files of a deployment are."""

    lake: str
    landing: str
    artifacts: str

    def trees(self, options: Mapping[str, str]) -> dict[str, Tree]:
        """Open them, by the name of their part of a backup."""
        uris = {LAKE: self.lake, LANDING: self.landing, ARTIFACTS: self.artifacts}
        return {name: Tree(uri, options) for name, uri in uris.items()}


def save(
    folder: Path,
    *,
    kind: str,
    trees: Mapping[str, Tree],
    verify_key: bytes,
    save_database: Callable[[str, Path], None],
    airflow: str,
    mlflow: Sequence[str],
    postgres: str | None = None,
    say: Callable[[str], None] = print,
) -> manifest.Manifest:
    """Make a backup in an empty folder.

    Parameters
    ----------
    folder
        Of the backup.
    kind
        `stack` or `cluster`.
    trees
        By `LAKE`, `ARTIFACTS` and `LANDING`.
    verify_key
        The public keys, PEM: with them the promotions of the copy can be verified.
    save_database
        Copies a database, as it is at one moment, into a folder.
    airflow, mlflow
        The names of the databases.
    postgres
        Major version of the server, where there is one.
    say
        Is given each line of progress.
    """
    manifest.begin(folder)
    made_at = datetime.now(UTC)
    databases = folder / DATABASES
    databases.mkdir(mode=0o700)
    say("Copying the databases")
    save_database(airflow, databases)
    lake = trees[LAKE]
    found = tables.tables_in(lake.paths())
    versions, logs = tables.note(lake, tables.naming_models(found), folder / LAKE)
    for name in mlflow:
        save_database(name, databases)
    # Listed again: a table may have been begun since, and a model may rest on it.
    found = tables.tables_in(lake.paths())
    below, more = tables.note(lake, tables.below_models(found), folder / LAKE)
    versions |= below
    say("Copying MLflow's artifacts")
    files = _saved(trees[ARTIFACTS], folder, ARTIFACTS)
    say(f"Copying {len(versions)} tables of the lake")
    files |= _below(LAKE, logs | more | tables.save(lake, versions, folder / LAKE))
    files |= _below(LAKE, lake.save(tables.pictures_in(lake.paths()), folder / LAKE))
    say("Copying what has landed")
    files |= _saved(trees[LANDING], folder, LANDING, still=True)
    files |= _below(DATABASES, digests_below(databases))
    (folder / VERIFY_KEY).write_bytes(verify_key)
    files |= {path: digest for path, digest in digests_below(folder).items() if path == VERIFY_KEY}
    made = manifest.described(kind, versions, files, made_at, postgres)
    manifest.write(made, folder)
    return made


def check_empty(trees: Mapping[str, Tree], replace: str, consent: str) -> None:
    """Refuse to restore over files, unless `replace` equals `consent`.

    Raises
    ------
    ConfigError
        There are files.
    """
    full = [tree.uri for tree in trees.values() if tree.paths()]
    if full and replace != consent:
        raise ConfigError(
            f"{', '.join(full)} must be empty, and is not. Restore into another place; or, to give "
            f"up what is there now, say so: REPLACE={consent}"
        )


def _saved(tree: Tree, folder: Path, name: str, *, still: bool = False) -> Digests:
    paths = [path for path in tree.paths() if not path.endswith("/")]
    return _below(name, tree.save(paths, folder / name, still=still))


def _below(name: str, digests: Digests) -> Digests:
    return {f"{name}/{path}": digest for path, digest in digests.items()}
