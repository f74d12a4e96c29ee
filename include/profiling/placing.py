"""Write a use case's files and land its data: all of it, or nothing."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa

from include.errors import ConfigError, DataContractError
from include.ingest_label.files import parse
from include.ingest_label.source import Source
from include.profiling.outcome_file import partitions_of
from include.profiling.plan import Plan
from include.profiling.raw import read
from include.profiling.suite import expectations_yaml
from include.profiling.time import keys_of
from include.profiling.yaml_files import columns_yaml, use_case_yaml
from include.use_cases.loader import ROOT, YAML_NAME, load, shown
from include.use_cases.sections.format import Format

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


@dataclass(frozen=True)
class Placed:
    """What was written.

    Attributes
    ----------
    folder : Path
        Of the use case.
    landed, outcomes : list of Path
        Files of rows, and of outcomes where they have files of their own.
    rowless : int
        Outcomes that belong to no row, and did not land.
    """

    folder: Path
    landed: list[Path]
    outcomes: list[Path]
    rowless: int


def check_new(name: str, use_cases: Path, landing: str) -> None:
    """Refuse a name that is none, or is taken, before anything is read.

    Raises
    ------
    ConfigError
        The name is not one of a use case, there is such a use case, files have landed for one, or
        files land in a bucket.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"USE_CASE={name}: must be lower-case letters, digits and '_', 60 at most, and begin "
            "with a letter. Correct it."
        )
    if landing.startswith("s3://"):
        raise ConfigError(
            f"{landing}: `make new` lands files in a folder. Set FLYWHEEL_LANDING_URI to one, and "
            "copy what it lands to the bucket."
        )
    if (use_cases / name).exists():
        raise ConfigError(
            f"{shown(use_cases / name)} is there already, and is left as it is. Choose another "
            "USE_CASE, or move the folder away."
        )
    for area in _areas(landing, name):
        if area.exists():
            raise ConfigError(
                f"{area}: files have landed there already. Choose another USE_CASE, or move the "
                "folder away."
            )


def _areas(landing: str, name: str) -> list[Path]:
    """Return where rows land, and outcomes that have a file of their own."""
    return [Path(landing) / name, Path(landing) / f"{name}_outcomes"]


def place(plan: Plan, use_cases: Path, landing: str, today: date) -> Placed:
    """Write the configuration and land the file.

    The configuration comes last: with it the use case exists. On an error all of it is removed.

    Parameters
    ----------
    plan : Plan
        The decisions.
    use_cases : Path
        Folder of use cases.
    landing : str
        The landing area's folder.
    today : date
        The partition of a snapshot.

    Raises
    ------
    ConfigError
        The name is taken.
    DataContractError
        A time cannot be read in a row that was not looked at.
    """
    check_new(plan.name, use_cases, landing)
    target, areas = use_cases / plan.name, _areas(landing, plan.name)
    with tempfile.TemporaryDirectory(prefix="flywheel-new-") as scratch:
        draft = Path(scratch) / plan.name
        draft.mkdir()
        schema = "../use_case.schema.json" if use_cases == ROOT else None
        (draft / "columns.yaml").write_text(columns_yaml(plan), encoding="utf-8")
        (draft / "expectations.yaml").write_text(expectations_yaml(plan), encoding="utf-8")
        text = use_case_yaml(plan, schema=schema)
        (draft / YAML_NAME).write_text(text, encoding="utf-8")
        load(draft)
        try:
            landed = _land(plan, areas[0], today)
            outcomes = _land_outcomes(plan, areas[1], today)
            target.mkdir(parents=True)
            for name in ("columns.yaml", "expectations.yaml", YAML_NAME):
                shutil.copyfile(draft / name, target / f".{name}.tmp")
                (target / f".{name}.tmp").rename(target / name)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            for area in areas:
                shutil.rmtree(area, ignore_errors=True)
            raise
    return Placed(target, landed, *outcomes)


def _land(plan: Plan, area: Path, today: date) -> list[Path]:
    table = plan.table
    packed = plan.table.raw.packed
    if plan.time.column is None and not plan.key.numbered:
        path = area / today.isoformat() / f"{plan.name}{table.raw.kind}{packed}"
        return [_write(path, table.path.read_bytes())]
    raw = read(table.path, sample=False)
    if plan.key.numbered:
        raw = raw.numbered(plan.key.columns[0])
    everywhere = pa.array(range(raw.rows))
    if plan.time.column is None:
        path = area / today.isoformat() / f"{plan.name}{raw.kind}"
        return [_write(path, raw.take(everywhere))]
    keys = _partitions(plan, raw.take(everywhere))
    groups = everywhere.to_pandas().groupby(keys.to_numpy())
    return [
        _write(area / str(key) / f"{plan.name}{raw.kind}", raw.take(pa.array(places)))
        for key, places in groups
    ]


def _land_outcomes(plan: Plan, area: Path, today: date) -> tuple[list[Path], int]:
    """Land each outcome in the partition of its row."""
    if plan.outcomes is None:
        return [], 0
    key, table = plan.key.columns, plan.outcomes.table
    all_rows = read(plan.table.path, sample=False)
    content = all_rows.take(pa.array(range(all_rows.rows)))
    rows = _parsed(plan, content, key)
    if plan.time.column is None:
        rows["partition"] = today.isoformat()
    else:
        rows["partition"] = _partitions(plan, content)
    keys = partitions_of(table.frame[key], rows, key)
    places = pd.Series(range(len(keys)))
    landed = [
        _write(
            area / str(partition) / f"{plan.name}{table.raw.kind}",
            table.raw.take(pa.array(group.to_numpy())),
        )
        for partition, group in places.groupby(keys.to_numpy())
    ]
    return landed, int(keys.isna().sum())


def _parsed(plan: Plan, content: bytes, names: list[str]) -> pd.DataFrame:
    """Read columns of the whole file as ingestion does."""
    source = Source(plan.table.raw.name_of(plan.table.path), Format.model_validate(plan.format))
    columns = {name: plan.columns[name] for name in names}
    frame: pd.DataFrame = parse(content, source, columns).to_pandas(date_as_object=False)
    return frame


def _partitions(plan: Plan, content: bytes) -> pd.Series[str]:
    """Tell the partition of each row of the whole file, by the time that ingestion reads."""
    name = plan.time.column or ""
    times = _parsed(plan, content, [name])[name]
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax()) + 1
        raise DataContractError(
            f"{plan.table.path}: each row must have its time, but {name!r} is missing in "
            f"{int(times.isna().sum()):,}, first in data row {row}. Fill it in, or write TIME=none."
        )
    return keys_of(times, plan.time.grain)


def _write(path: Path, content: bytes) -> Path:
    """Write beside and rename: who watches the landing area never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(content)
    draft.rename(path)
    return path
