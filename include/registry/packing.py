"""Packages, signs and registers a fitted model, for trainings and for refits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.lake.frames import to_pandas
from include.lake.pins import pinned_versions
from include.lake.table import Lake
from include.modelling.references import load_references
from include.registry.client import Registry
from include.registry.independence import ROWS, Sample
from include.registry.ledger import REFIT_OF
from include.registry.package import write_package
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import ColumnType, UseCase


@dataclass(frozen=True, eq=False)
class Packed:
    """What goes into a model package.

    Attributes
    ----------
    use_case : UseCase
        As the model was trained.
    python : OwnPython
        The use case's own, likewise.
    estimator : fitted Pipeline
        The model.
    reference : DataFrame
        What `include.registry.package.reference_of` made.
    facts : dict
        Metrics and lineage, JSON values. Read here: `run_id`, `as_of`, `partitions`,
        `learned_from`, `holdout_partition`, `holdout_partitions`, `inputs`, `candidate`, `metric`,
        `metrics`, `code_version`, `lock_hash`, and of a refit `evaluated_version`.
    """

    use_case: UseCase
    python: OwnPython
    estimator: Any
    reference: pd.DataFrame
    facts: dict[str, Any]


def pack_and_register(
    model: Packed, tags: Mapping[str, str], lake: Lake, registry: Registry, work_dir: Path
) -> str:
    """Package a model, sign it, register it, and mark its run as finished.

    A trained model becomes the challenger; a refit does not, because the gate does not judge it.
    Idempotent: a run has one version.

    Parameters
    ----------
    model : Packed
        The model, with the facts about it.
    tags : mapping of str to str
        For the version, beside those that are made of the facts.
    lake : Lake
        Holds the clean rows from which the package learns what a request may hold.
    registry : Registry
        Where it goes; it must know the signing key.
    work_dir : Path
        Where the package is made; it is removed once registered.

    Returns
    -------
    str
        The version.
    """
    use_case, facts = model.use_case, model.facts
    run_id = facts["run_id"]
    clean = pinned_versions(lake, facts["inputs"])[f"{use_case.name}.clean"]
    folder = work_dir / run_id
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that died
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_package(
            folder,
            estimator=model.estimator,
            use_case=use_case,
            python=model.python,
            example=example_row(use_case, facts["holdout_partition"], lake, clean),
            reference=model.reference,
            facts=facts,
            run_id=run_id,
            signing_key=registry.signing_key,
            request_rows=request_rows(use_case, facts["learned_from"], lake, clean),
            sample=sample_of(use_case, facts["holdout_partition"], lake, clean),
        )
        version = registry.register(use_case.name, run_id, folder, {**_tags(facts), **tags})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    registry.client.set_terminated(run_id)
    return version


def _tags(facts: Mapping[str, Any]) -> dict[str, str]:
    refit = {REFIT_OF: facts["evaluated_version"]} if "evaluated_version" in facts else {}
    return {
        "as_of": facts["as_of"],
        "holdout_partition": facts["holdout_partition"],
        "holdout_from": facts["holdout_partitions"][0],
        # The newest partition that the model learned from or was judged on.
        "known_up_to": facts["partitions"][-1],
        "candidate": facts["candidate"],
        facts["metric"]: f"{facts['metrics'][facts['metric']]:.6g}",
        "code_version": facts["code_version"],
        "lock_hash": facts["lock_hash"],
        **pin_tags(facts["inputs"]),
        **refit,
    }


def pin_tags(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tags of a run or a model version that name the tables that it was made from."""
    return {
        f"flywheel.{name}.{pin['table']}": pin[name]
        for pin in inputs
        for name in ("version", "table_id")
    }


def request_rows(
    use_case: UseCase, partitions: list[str], lake: Lake, version: int | None = None
) -> Iterator[pd.DataFrame]:
    """Read what requests carried in these partitions, piece by piece."""
    clean = lake.table(use_case.name, "clean")
    for partition in partitions:  # one at a time: a scan of several reads ahead
        for batch in clean.batches([partition], use_case.features.inputs, version):
            yield to_pandas(pa.Table.from_batches([batch]))


def sample_of(use_case: UseCase, partition: str, lake: Lake, version: int | None = None) -> Sample:
    """Read a few rows of a partition, with what they find in the references."""
    clean = lake.table(use_case.name, "clean")
    first = next(clean.batches([partition], use_case.features.inputs, version)).slice(0, ROWS)
    rows = pa.Table.from_batches([first])
    references, _ = load_references(use_case, lake, rows=rows, partition=partition)
    return Sample(to_pandas(rows), references)


def example_row(
    use_case: UseCase, partition: str, lake: Lake, version: int | None = None
) -> dict[str, Any]:
    """Return a complete row as a request carries it: JSON values, times in ISO 8601."""
    first: dict[str, Any] = {}
    clean = lake.table(use_case.name, "clean")
    for batch in clean.batches([partition], use_case.features.inputs, version):
        complete = np.flatnonzero(batch.to_pandas().notna().all(axis=1).to_numpy())
        first = first or batch.slice(0, 1).to_pylist()[0]
        if len(complete):
            first = batch.slice(int(complete[0]), 1).to_pylist()[0]
            break
    columns = use_case.ingest.columns
    return {
        name: _in_json(value, columns[name]) if isinstance(value, datetime) else value
        for name, value in first.items()
    }


def _in_json(value: datetime, kind: ColumnType) -> str:
    return value.date().isoformat() if kind == "date" else value.isoformat()
