"""Names a training by what goes into it, so that the same training is not done twice."""

from __future__ import annotations

import hashlib

from include.lake.table import Lake
from include.modelling.training_set import fingerprint, labelled_partitions
from include.registry.client import Registry
from include.use_cases.loader import dump, python_of
from include.use_cases.schema import UseCase


def training_name(use_case: UseCase, as_of: str, lake: Lake) -> str:
    """Name the training of a use case as of a partition: equal for equal data and configuration.

    Parameters
    ----------
    use_case : UseCase
        Its whole configuration counts, its own Python included.
    as_of : str
        The last partition that may be used. Two of them with the same labelled partitions give
        the same name.
    lake : Lake
        Holds features and labels; the versions of their partitions count.
    """
    data = fingerprint(use_case, lake, labelled_partitions(use_case, lake, as_of))
    # The package carries the Python, so a training with other Python is another one.
    written = dump(use_case) + python_of(use_case).digest
    configuration = hashlib.sha256(written.encode()).hexdigest()[:16]
    return f"{data}-{configuration}"


def is_finished(registry: Registry, use_case_name: str, name: str) -> bool:
    """Whether a training of this name has ended with a registered model version."""
    run_id = registry.find_run(use_case_name, f"train {name}")
    return run_id is not None and _status(registry, run_id) == "FINISHED"


def close(registry: Registry, run_id: str) -> str:
    """Mark a training run that did not finish as failed; return its status."""
    if _status(registry, run_id) == "FINISHED":
        return "FINISHED"
    registry.client.set_terminated(run_id, "FAILED")
    return "FAILED"


def _status(registry: Registry, run_id: str) -> str:
    return str(registry.client.get_run(run_id).info.status)
