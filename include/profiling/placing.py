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
from include.profiling.plan import Plan
from include.profiling.raw import read
from include.profiling.suite import expectations_yaml
from include.profiling.time import keys_of
from include.profiling.yaml_files import columns_yaml, use_case_yaml
from include.use_cases.loader import ROOT, YAML_NAME, load, shown
from include.use_cases.sections.format import Format

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Placed:
    """What was written."""

    folder: Path
    landed: list[Path]


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
            f"USE_CASE={name}: must be lower-case letters, digits and '_', and begin with a "
            "letter. Correct it."
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
    if (Path(landing) / name).exists():
        raise ConfigError(
            f"{Path(landing) / name}: files have landed there already. Choose another USE_CASE, or "
            "move the folder away."
        )


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
    target, area = use_cases / plan.name, Path(landing) / plan.name
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
            landed = _land(plan, area, today)
            target.mkdir(parents=True)
            for name in ("columns.yaml", "expectations.yaml", YAML_NAME):
                shutil.copyfile(draft / name, target / f".{name}.tmp")
                (target / f".{name}.tmp").rename(target / name)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            shutil.rmtree(area, ignore_errors=True)
            raise
    return Placed(target, landed)


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


def _partitions(plan: Plan, content: bytes) -> pd.Series[str]:
    """Tell the partition of each row of the whole file, by the time that ingestion reads."""
    name = plan.time.column or ""
    source = Source(f"{plan.table.path}{plan.table.raw.kind}", Format.model_validate(plan.format))
    times = parse(content, source, {name: plan.columns[name]})[name].to_pandas()
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
