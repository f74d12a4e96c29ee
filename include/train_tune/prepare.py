"""The first step of a training: fix what it is trained on, and which trials come first."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from include.due.definitions import DEFINITION
from include.due.mixed import check_definitions, named_in_tags
from include.errors import DataContractError
from include.lake.table import Lake
from include.modelling.kept_training_set import keep, load_kept
from include.modelling.search import draw
from include.modelling.training_set import TrainingSet, load_as_then, load_training_set
from include.provenance import code_version, lock_hash
from include.registry import signing
from include.registry.client import Registry
from include.registry.own_code import check_own_code
from include.registry.packing import pin_tags
from include.use_cases.loader import dump, load_text, python_of
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase

FILE = "training/prepared.json"
"""Artifact of the training's MLflow run that holds what was prepared."""
DIGEST = "flywheel.prepared_sha256"
"""Tag of the run with the digest of that artifact; only a run that has it is prepared."""
SIGNATURE = "flywheel.prepared_signature"
"""Tag with the signature over run and digest: who may write into MLflow can change both of these,
and the artifact holds Python that the last step signs."""


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
        All that are used; the holdout's are the last.
    holdout_partition : str
        The last of them.
    inputs : list of dict
        `table`, Delta `version` and `table_id` of what is read: features, labels, and the clean
        rows from which the package learns what a request may hold.
    trials : list of dict
        `candidate`, `number` and `params` of each trial of the first round; later rounds are drawn
        from what comes of it.
    rows : int
        Training rows.
    configuration : str
        The use case as YAML, as it was when the training began: an edit while trials run changes
        nothing in them.
    python : list of [str, str]
        File name and text of the use case's own Python, likewise.
    definitions : dict
        By table (`clean`), and by digest of the definition (YAML, suite, Python) that made them,
        in hexadecimal: the partitions.
    mixed_definitions : list of str
        What it learns from that another definition than today's has made; see
        `include.due.mixed`.
    holdout_partitions : list of str
        What the models are judged on. Empty in trainings of before: only the last one was.
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
    definitions: dict[str, dict[str, list[str]]]
    mixed_definitions: list[str] = field(default_factory=list)
    holdout_partitions: list[str] = field(default_factory=list)

    def use_case(self, name: str) -> UseCase:
        """Return the use case as it was when the training was prepared."""
        origin = f"training run {self.run_id}"
        return load_text(self.configuration, name, origin, python=self.own_python(name))

    def own_python(self, name: str) -> OwnPython:
        """Return the use case's own Python as it was when the training was prepared."""
        return OwnPython(name, tuple((file, text) for file, text in self.python))


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
        If there are too few labelled partitions, or some were made by another definition than
        today's (``train.mixed_definitions``); no run is made then.
    ConfigError
        Its own estimator or metric does not do what the phases rely on.
    """
    request = f"train {request_id}"
    run_id = registry.find_run(use_case.name, request)
    if run_id is not None and (known := _recall(registry, run_id)) is not None:
        if registry.client.get_run(run_id).info.status == "FAILED":
            # It is under way again: as failed it would not count, and be asked for once more.
            registry.client.update_run(run_id, "RUNNING")
        return known
    check_own_code(use_case)
    training = load_training_set(use_case, lake, as_of)
    mixed = check_definitions(use_case, lake, training.partitions)
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
    prepared = _prepared(use_case, as_of, run_id, training, lake, mixed)
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
            **pin_tags(prepared.inputs),
            "flywheel.code_version": code_version(),
            "flywheel.lock_hash": lock_hash(),
            **named_in_tags(mixed),
        },
    )
    text = json.dumps(asdict(prepared), indent=1)
    registry.client.log_text(run_id, text, FILE)
    # Last: only a run that has it counts as prepared.
    digest = _sha256(text)
    signature = signing.sign(_signed_bytes(run_id, digest), registry.signing_key).hex()
    registry.log(run_id, tags={SIGNATURE: signature, DIGEST: digest})
    return prepared


def recall(registry: Registry, run_id: str) -> Prepared:
    """Return what a training run was prepared with.

    Raises
    ------
    DataContractError
        When the run was not prepared, or its artifact is not what was written then: it holds Python
        that will be signed and run.
    """
    prepared = _recall(registry, run_id)
    if prepared is None:
        raise DataContractError(
            f"training run {run_id}: must have been prepared (tag {DIGEST}), but was not. It was "
            "begun by an earlier version, or its first task died. Start the training again."
        )
    return prepared


def _recall(registry: Registry, run_id: str) -> Prepared | None:
    tags = registry.client.get_run(run_id).data.tags
    digest = tags.get(DIGEST)
    if digest is None:
        return None
    if not _is_signed(registry, run_id, digest, tags.get(SIGNATURE, "")):
        raise DataContractError(
            f"training run {run_id}: its tag {DIGEST} must be signed with our key (tag "
            f"{SIGNATURE}), but is not. Nothing of it was used. Find out who changed the run, or "
            "the key pair, then start the training again."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = registry.client.download_artifacts(run_id, FILE, folder)
        text = Path(path).read_text(encoding="utf-8")
    if _sha256(text) != digest:
        raise DataContractError(
            f"training run {run_id}: its artifact {FILE} must have the sha256 {digest} that the "
            f"run's tag {DIGEST} names, got {_sha256(text)}. Nothing of it was used. Find out who "
            "changed the artifact store, then start the training again."
        )
    return Prepared(**json.loads(text))


def load_pinned(
    use_case: UseCase, prepared: Prepared, lake: Lake, kept_in: Path | None = None
) -> TrainingSet:
    """Load the training set again as it was when the training was prepared.

    From `kept_in` where it was kept there, from the lake otherwise: the rows are the same.
    """

    def load() -> TrainingSet:
        return load_as_then(use_case, lake, vars(prepared))

    return load() if kept_in is None else load_kept(kept_in / prepared.run_id, load)


def _prepared(
    use_case: UseCase,
    as_of: str,
    run_id: str,
    training: TrainingSet,
    lake: Lake,
    mixed: list[str],
) -> Prepared:
    pins = [*training.inputs, lake.table(use_case.name, "clean").pin()]
    return Prepared(
        run_id=run_id,
        as_of=as_of,
        partitions=training.partitions,
        holdout_partition=training.holdout_partition,
        inputs=[
            {"table": pin.table, "version": pin.version, "table_id": pin.table_id} for pin in pins
        ],
        trials=[asdict(trial) for trial in draw(use_case, round_number=1)],
        rows=len(training.train_X),
        configuration=dump(use_case),
        python=[list(file) for file in python_of(use_case).files],
        definitions=_definitions(use_case, lake, training.partitions),
        mixed_definitions=mixed,
        holdout_partitions=training.holdout_partitions,
    )


def _definitions(
    use_case: UseCase, lake: Lake, partitions: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Return which definitions made the partitions that are used, as their commits say."""
    found: dict[str, dict[str, list[str]]] = {}
    for stage in ("raw", "clean", "features", "labels"):
        table = lake.table(use_case.name, stage)
        made = table.made_from({partition: [DEFINITION] for partition in partitions})
        for partition, sources in made.items():
            if (digest := sources[DEFINITION]) is not None:
                of_stage = found.setdefault(stage, {})
                of_stage.setdefault(f"{digest:016x}", []).append(partition)
    return found


def _is_signed(registry: Registry, run_id: str, digest: str, signature: str) -> bool:
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        return False
    return signing.verify(_signed_bytes(run_id, digest), given, registry.verify_key)


def _signed_bytes(run_id: str, digest: str) -> bytes:
    return f"prepared {run_id} {digest}".encode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
