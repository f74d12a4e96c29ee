"""Copy the lake's tables, each at one version, so that all of them fit together.

A table is noted before the tables that it was made from. So whatever a copied row names is in the
copy as well; what came later at its source is not processed yet, and housekeeping finds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from include.due.stages import STAGES
from include.errors import DataContractError
from include.ingest_label.landed import LANDED
from include.labelling.history import HISTORY
from include.labelling.rounds import ROUNDS
from include.lake.attempts import ATTEMPTS
from scripts.backup.trees import Digests, Tree

_LOG = "_delta_log"
_ENTRY = re.compile(r"(\d{20})\.(?:json|checkpoint.*\.parquet)")
_BELOW_MODELS = ("labels", HISTORY, ROUNDS, "features", "clean", "raw", "reference")
"""What models are made from, each before what it is made from itself. Answers, boxes and ends have
the place of the rounds that they belong to, and come before these by their names."""

Versions = dict[str, int]
"""The version of each table, by `<use case>/<stage>`."""


def naming_models(tables: Iterable[str]) -> list[str]:
    """Return the tables whose rows name model versions: noted before the registry is copied.

    >>> naming_models(["a/clean", "a/promotions", "a/predictions"])
    ['a/promotions', 'a/predictions']
    """
    return sorted((table for table in tables if _rank(table) < 0), key=_rank)


def below_models(tables: Iterable[str]) -> list[str]:
    """Return the others, which models are made from: noted after the registry was copied.

    >>> below_models(["a/attempts", "a/landed", "a/raw", "a/features", "a/promotions"])
    ['a/features', 'a/raw', 'a/landed', 'a/attempts']
    """
    return sorted((table for table in tables if _rank(table) >= 0), key=_rank)


def _rank(table: str) -> int:
    """Return the place in the order; negative for what names models."""
    stage = table.partition("/")[2]
    if stage == ATTEMPTS:  # last: an attempt after a restore must have a higher number than these
        return len(_BELOW_MODELS) + 1
    if stage == LANDED:
        return len(_BELOW_MODELS)
    beside = {other: each.name for each in STAGES.values() for other in each.beside}
    for place, name in enumerate(_BELOW_MODELS):
        if beside.get(stage, stage) == name or stage.startswith(f"{name}_"):
            return place
    # What was promoted, decided and monitored rests on predictions; other tables on none of these.
    before = [name for name in list(STAGES)[::-1] if name not in _BELOW_MODELS]
    return before.index(stage) - len(before) if stage in before else -len(before) - 1


def tables_in(paths: Iterable[str]) -> list[str]:
    """Return the tables among the paths of a lake."""
    found = {path.partition(f"/{_LOG}/")[0] for path in paths if f"/{_LOG}/" in path}
    return sorted(found)


def pictures_in(paths: Iterable[str]) -> list[str]:
    """Return the pictures of rows among the paths of a lake; they stand beside the tables.

    >>> pictures_in(["a/pictures/2024-05-01/0f.png", "a/clean/_delta_log/0.json"])
    ['a/pictures/2024-05-01/0f.png']
    """
    return sorted(path for path in paths if path.split("/")[1:2] == ["pictures"])


def note(lake: Tree, tables: Iterable[str], folder: Path) -> tuple[Versions, Digests]:
    """Note the present version of each table, one after the other in this order; copy its log.

    The log at once, because those of `requests` and `attempts` are kept for two minutes, and more
    than that may go by until the rows are copied.

    Returns
    -------
    tuple of Versions and Digests
        The versions, and what was copied, by the path below the lake.
    """
    noted: Versions = {}
    copied: Digests = {}
    for table in tables:
        numbers = {path: _version(path) for path in lake.below(f"{table}/{_LOG}")}
        known = {path: number for path, number in numbers.items() if number is not None}
        if not known:
            raise DataContractError(f"{lake.uri}/{table} has no Delta log. Restore the table.")
        noted[table] = max(known.values())
        copied |= lake.save(known, folder)
    return noted, copied


def save(lake: Tree, versions: Versions, folder: Path) -> Digests:
    """Copy the rows of the tables at these versions, with all earlier ones.

    Raises
    ------
    DataContractError
        A file that a table names is missing in the copy.
    """
    found = lake.save([path for path in lake.paths() if _is_of_rows(path, versions)], folder)
    for table, version in versions.items():
        _check(folder / table, version)
    return found


def _is_of_rows(path: str, versions: Versions) -> bool:
    return f"/{_LOG}/" not in path and any(path.startswith(f"{table}/") for table in versions)


def _version(path: str) -> int | None:
    match = _ENTRY.fullmatch(path.rpartition("/")[2])
    return int(match[1]) if match else None


def _check(table: Path, version: int) -> None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        opened = DeltaTable(str(table), version=version)
    except DeltaError as error:
        raise DataContractError(
            f"{table}: version {version} cannot be opened in the copy: {error}. Its log was "
            "shortened meanwhile, or is damaged. Start the backup again."
        ) from error
    missing = [uri for uri in opened.file_uris() if not Path(uri.removeprefix("file://")).exists()]
    if missing:
        raise DataContractError(
            f"{table}: version {version} names {len(missing)} files that are not in the copy, "
            f"such as {missing[0]}. Where housekeeping has compacted the table meanwhile, start "
            "the backup again; otherwise the lake is damaged."
        )
