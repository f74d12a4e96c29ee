"""Names a training by what goes into it, so that the same training is not done twice."""

from __future__ import annotations

import hashlib

from include.lake.table import Lake
from include.modelling.training_set import fingerprint, labelled_partitions
from include.registry.client import Registry
from include.use_cases.loader import dump
from include.use_cases.schema import UseCase


def training_name(use_case: UseCase, as_of: str, lake: Lake) -> str:
    """Name the training of a use case as of a partition: equal for equal data and configuration.

    Parameters
    ----------
    use_case : UseCase
        Its whole configuration counts.
    as_of : str
        The last partition that may be used. Two of them with the same labelled partitions give
        the same name.
    lake : Lake
        Holds features and labels; the versions of their partitions count.
    """
    data = fingerprint(use_case, lake, labelled_partitions(use_case, lake, as_of))
    configuration = hashlib.sha256(dump(use_case).encode()).hexdigest()[:16]
    return f"{data}-{configuration}"


def is_finished(registry: Registry, run_id: str) -> bool:
    """Whether a training run has ended with a registered model version."""
    return str(registry.client.get_run(run_id).info.status) == "FINISHED"
