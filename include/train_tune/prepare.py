"""The first step of a training: fix what it is trained on, and which trials are to be run."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from include.lake.table import Lake
from include.modelling.kept_training_set import keep, kept
from include.modelling.training_set import TrainingSet, load_training_set
from include.provenance import code_version, lock_hash
from include.registry.client import Registry
from include.use_cases.loader import dump, load_text, python_of
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase

_FILE = "training/prepared.json"


@dataclass(frozen=True)
class Prepared:
    """What every later step of a training needs.

    Attributes
    ----------
    run_id : str
        The training's MLflow run.
    as_of : str
        The last partition that may be used.
    partitions : list of str
        All that are used; the last is the holdout.
    holdout_partition : str
        The last of them.
    inputs : list of dict
        `table` and Delta `version` of what is read.
    trials : list of dict
        `candidate` and `number` of each trial.
    rows : int
        Training rows.
    configuration : str
        The use case as YAML, as it was when the training began: an edit while trials run changes
        nothing in them.
    python : list of [str, str]
        File name and text of the use case's own Python, likewise.
    """

    run_id: str
    as_of: str
    partitions: list[str]
    holdout_partition: str
    inputs: list[dict[str, Any]]
    trials: list[dict[str, Any]]
    rows: int
    configuration: str
    python: list[list[str]]


def configured(name: str, prepared: dict[str, Any]) -> UseCase:
    """Return the use case as it was when the training was prepared."""
    origin = f"training run {prepared['run_id']}"
    return load_text(prepared["configuration"], name, origin)


def python_as_prepared(name: str, prepared: dict[str, Any]) -> OwnPython:
    """Return the use case's own Python as it was when the training was prepared."""
    return OwnPython(name, tuple((file, text) for file, text in prepared["python"]))


def prepare(
    use_case: UseCase,
    as_of: str,
    lake: Lake,
    registry: Registry,
    request_id: str,
    kept_in: Path | None = None,
) -> Prepared:
    """Start a training: its MLflow run, pinned to lake versions.

    Idempotent: the same request finds the run and the versions it was pinned to, also after the
    lake has moved on.

    Parameters
    ----------
    use_case : UseCase
        What is trained.
    as_of : str
        The last partition that may be used.
    lake : Lake
        Holds features and labels.
    registry : Registry
        Where the run is kept.
    request_id : str
        Names this training, such as the Dag run's id.
    kept_in : Path, optional
        Where the training set is kept, for later steps on this machine: `load_pinned` finds it.

    Raises
    ------
    DataContractError
        If there are too few labelled partitions; no run is made then.
    """
    request = f"train {request_id}"
    run_id = registry.find_run(use_case.name, request)
    if run_id is not None and (known := _recall(registry, run_id)) is not None:
        if registry.client.get_run(run_id).info.status == "FAILED":
            # It is under way again: as failed it would not count, and be asked for once more.
            registry.client.update_run(run_id, "RUNNING")
        return known
    training = load_training_set(use_case, lake, as_of)
    run_id = registry.run(
        use_case.name,
        request,
        f"train {as_of}",
        {
            "flywheel.phase": "train_tune",
            "flywheel.as_of": as_of,
            "flywheel.training": "yes",
            "flywheel.training_name": request_id,
        },
    )
    if kept_in is not None:
        keep(training, kept_in / run_id)
    prepared = _prepared(use_case, as_of, run_id, training)
    registry.log(
        run_id,
        params={
            "as_of": as_of,
            "first_partition": training.partitions[0],
            "partitions": len(training.partitions),
            "holdout_partition": training.holdout_partition,
            "train_rows": len(training.train_X),
            "holdout_rows": len(training.holdout_X),
        },
        tags={
            **{f"flywheel.version.{read.table}": read.version for read in training.inputs},
            "flywheel.code_version": code_version(),
            "flywheel.lock_hash": lock_hash(),
        },
    )
    # Last: only a run that has it counts as prepared.
    registry.client.log_dict(run_id, asdict(prepared), _FILE)
    return prepared


def load_pinned(
    use_case: UseCase, prepared: dict[str, Any], lake: Lake, kept_in: Path | None = None
) -> TrainingSet:
    """Load the training set again as it was when the training was prepared.

    From `kept_in` where it was kept there, from the lake otherwise: the rows are the same.
    """
    versions = {read["table"]: read["version"] for read in prepared["inputs"]}

    def load() -> TrainingSet:
        partitions = prepared["partitions"]
        return load_training_set(use_case, lake, prepared["as_of"], versions, partitions)

    return load() if kept_in is None else kept(kept_in / prepared["run_id"], load)


def _prepared(use_case: UseCase, as_of: str, run_id: str, training: TrainingSet) -> Prepared:
    return Prepared(
        run_id=run_id,
        as_of=as_of,
        partitions=training.partitions,
        holdout_partition=training.holdout_partition,
        inputs=[{"table": read.table, "version": read.version} for read in training.inputs],
        trials=[
            {"candidate": space.estimator, "number": number}
            for space in use_case.train.candidates
            for number in range(use_case.train.tuning.trials)
        ],
        rows=len(training.train_X),
        configuration=dump(use_case),
        python=[list(file) for file in python_of(use_case).files],
    )


def _recall(registry: Registry, run_id: str) -> Prepared | None:
    if _FILE not in [file.path for file in registry.client.list_artifacts(run_id, "training")]:
        return None  # the attempt that made the run died before it was prepared
    with tempfile.TemporaryDirectory() as folder:
        path = registry.client.download_artifacts(run_id, _FILE, folder)
        return Prepared(**json.loads(Path(path).read_text()))
