"""Back up and restore the embedded stack."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from include.errors import ConfigError
from include.lake.errors import is_remote
from include.settings import Settings
from scripts.backup import keys as key_folder
from scripts.backup import manifest, steps
from scripts.backup.keys import VERIFY_KEY, check_known
from scripts.backup.steps import DATABASES, Places
from scripts.backup.trees import Tree
from scripts.stack import databases, layout, processes
from scripts.stack.environment import base_environment
from scripts.stack.settings import PORTS, StackSettings

KIND = "stack"
_SECRETS, _SIGNING_KEY = "secrets", "signing.pem"


def save(
    settings: StackSettings,
    folder: Path,
    keys: Path | None = None,
    say: Callable[[str], None] = print,
) -> manifest.Manifest:
    """Back up a stack, whether it runs or not.

    Parameters
    ----------
    settings
        Of the stack.
    folder
        Of the new backup.
    keys
        Where the secrets and the signing key go; without it they go nowhere.
    say
        Is given each line of progress.

    Raises
    ------
    ConfigError
        There is no stack, its layout is another one, or a folder is not empty.
    """
    layout.check(settings)
    if layout.read(settings) is None:
        raise ConfigError(f"There is nothing to back up in {settings.home}. Check FLYWHEEL_HOME.")
    if keys is not None:
        key_folder.check_folder(keys, folder)
    library = Settings.from_env(base_environment(settings))
    files = {each.file.name: each.file for each in databases.of_stack(settings)}
    made = steps.save(
        folder,
        kind=KIND,
        trees=_trees(library, settings.mlflow_home),
        verify_key=library.verify_key.read_bytes(),
        save_database=lambda name, to: _save_database(files[name], to),
        airflow="airflow.db",
        mlflow=("mlflow.db", "users.db"),
        say=say,
    )
    if keys is not None:
        sources = {
            _SECRETS: settings.secrets,
            _SIGNING_KEY: library.signing_key,
            VERIFY_KEY: library.verify_key,
        }
        key_folder.save(sources, keys)
    return made


def restore(
    settings: StackSettings,
    folder: Path,
    keys: Path | None = None,
    replace: str = "",
    say: Callable[[str], None] = print,
) -> None:
    """Make a home of a backup; `make up` then starts it.

    Parameters
    ----------
    settings
        Of the new stack.
    folder
        Of the backup.
    keys
        The folder of keys that was made with it. Without it new secrets and a new signing key are
        made, beside whose public half the former one stays valid.
    replace
        The home, in words, where there is one already. It is moved aside, and kept.
    say
        Is given each line of progress.

    Raises
    ------
    ConfigError
        The stack runs, the home is not empty, or the backup does not suit this code.
    DataContractError
        The backup is not whole.
    """
    say(f"Checking {folder}")
    made = manifest.read(folder, KIND)
    if keys is not None:
        _check_keys(keys, folder)
    home = settings.home
    _check_home(home, replace)
    library = Settings.from_env(base_environment(settings))
    draft = home.with_name(f"{home.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)  # of a restore that was interrupted
    trees = _trees(library, settings.mlflow_home)
    elsewhere = {name: tree for name, tree in trees.items() if not _is_in(tree, home)}
    steps.check_empty(elsewhere, replace, str(home))
    say(f"Restoring what was saved at {made.made_at}")
    drafted = StackSettings(home=draft, **{name: getattr(settings, name) for name in PORTS})
    for place in (draft, drafted.airflow_home, drafted.mlflow_home):
        place.mkdir(mode=0o700, parents=True)
    own = {name: _moved(tree, home, draft) for name, tree in trees.items() if _is_in(tree, home)}
    for tree in elsewhere.values():
        tree.empty()
    for name, tree in (own | elsewhere).items():
        if (folder / name).exists():
            tree.fill(folder / name)
    for database in databases.of_stack(drafted):
        shutil.copyfile(folder / DATABASES / database.file.name, database.file)
    _restore_keys(drafted, folder, keys)
    layout.write(drafted)
    key_folder.close(draft)
    if _is_used(home):
        aside = home.with_name(f"{home.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        home.rename(aside)
        say(f"What was in {home} is in {aside} now.")
    draft.rename(home)  # an empty folder may be there


def _check_home(home: Path, replace: str) -> None:
    if processes.of_home(home):
        raise ConfigError(f"The stack of {home} runs. Stop it with `make down`.")
    if _is_used(home) and replace != str(home):
        raise ConfigError(
            f"{home} must be empty, and is not. Set FLYWHEEL_HOME to another folder; or, to have "
            f"this one moved aside, say so: REPLACE={home}"
        )


def _check_keys(keys: Path, folder: Path) -> None:
    for name in (_SIGNING_KEY, VERIFY_KEY):
        if not (keys / name).is_file():
            raise ConfigError(f"{keys} holds no {name}: KEYS must be a folder of keys.")
    check_known(folder, (keys / VERIFY_KEY).read_bytes(), str(keys / VERIFY_KEY))


def _is_used(home: Path) -> bool:
    return home.exists() and any(home.iterdir())


def _restore_keys(drafted: StackSettings, folder: Path, keys: Path | None) -> None:
    # A new home has its keys in it; FLYWHEEL_SIGNING_KEY and FLYWHEEL_VERIFY_KEY are their owner's.
    own = drafted.home / "keys"
    own.mkdir(mode=0o700)
    # Who may write the backup may not decide whose signatures count.
    shutil.copyfile((keys or folder) / VERIFY_KEY, own / VERIFY_KEY)
    if keys is not None:
        shutil.copyfile(keys / _SIGNING_KEY, own / _SIGNING_KEY)
        shutil.copytree(keys / _SECRETS, drafted.secrets)


def _trees(library: Settings, mlflow_home: Path) -> dict[str, Tree]:
    artifacts = str(mlflow_home / "artifacts")
    return Places(library.lake_uri, library.landing_uri, artifacts).trees(library.storage_options())


def _is_in(tree: Tree, home: Path) -> bool:
    return not is_remote(tree.uri) and Path(tree.uri).is_relative_to(home)


def _moved(tree: Tree, home: Path, draft: Path) -> Tree:
    return Tree(str(draft / Path(tree.uri).relative_to(home)))


def _save_database(file: Path, folder: Path) -> None:
    """Copy an SQLite file as it is at one moment, while others write to it."""
    if not file.exists():
        raise ConfigError(f"{file} does not exist: start the stack once with `make up`.")
    with (
        closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=60)) as source,
        closing(sqlite3.connect(folder / file.name)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
        found = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise ConfigError(f"{file} is damaged: SQLite says {found!r}. Nothing was saved.")
