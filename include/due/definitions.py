"""The definition of a phase: what its result depends on in the use case, apart from its input.

Its digest is published with the result. When a person edits what the phase does, every partition of
its result is due again, and nothing else is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from include.use_cases.loader import load_suite, python_of
from include.use_cases.schema import UseCase

DEFINITION = "definition"
"""Name under which a result notes the digest of its definition, beside the tables it read."""


def definition_of(use_case: UseCase, stage: str) -> int:
    """Digest the definition of the phase that makes a stage of the lake.

    Parameters
    ----------
    use_case : UseCase
        As it is configured now.
    stage : str
        A table, such as `clean`, or `reference_<name>`.

    Returns
    -------
    int
        From 0 to 2**63 - 1.
    """
    kind, _, name = stage.partition("_")
    content = _reference(use_case, name) if kind == "reference" else _PARTS[stage](use_case)
    text = json.dumps([use_case.task, content], sort_keys=True, default=str)
    return digest_63(text.encode())


def digest_63(content: bytes) -> int:
    """Digest bytes into a number below 2**63, as a Delta transaction holds it."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1


def _raw(use_case: UseCase) -> Any:
    return [use_case.ingest.columns, _plain(use_case.ingest.partition)]


def _labels(use_case: UseCase) -> Any:
    if use_case.labels is None:
        return None
    labels = _plain(use_case.labels)
    del labels["landing"], labels["column"]  # neither changes a value
    times = [use_case.ingest.partition.column, use_case.train.split.by]
    return [labels, use_case.ingest.key, times]


def _reference(use_case: UseCase, name: str) -> Any:
    reference = use_case.ingest.references[name]
    return [reference.columns, reference.key, *filter(None, [reference.as_of])]


def _clean(use_case: UseCase) -> Any:
    suite = load_suite(use_case).model_dump(mode="json")
    parts = [use_case.validation.max_quarantined_share, suite, _plain(use_case.clean)]
    return [*parts, use_case.ingest.columns, use_case.ingest.key]


def _features(use_case: UseCase) -> Any:
    joined = [_reference(use_case, name) for name in use_case.features.references]
    names = [use_case.ingest.key, use_case.ingest.partition.column, use_case.train.split.by]
    python = python_of(use_case).digest
    return [_plain(use_case.features), joined, use_case.ingest.columns, names, python]


def _predictions(use_case: UseCase) -> Any:
    # The model is no part of it: a new champion does not make earlier predictions due.
    return [use_case.ingest.key]


def _monitoring(use_case: UseCase) -> Any:
    return [_plain(use_case.monitor), use_case.train.metric, use_case.ingest.key]


def _decisions(use_case: UseCase) -> Any:
    return [_plain(use_case.retrain), use_case.train.min_partitions]


def _training(use_case: UseCase) -> Any:
    return [_plain(use_case.train), use_case.features.columns, use_case.ingest.key]


_PARTS: Mapping[str, Callable[[UseCase], Any]] = {
    "raw": _raw,
    "labels": _labels,
    "clean": _clean,
    "features": _features,
    "predictions": _predictions,
    "monitoring": _monitoring,
    "decisions": _decisions,
    "training": _training,
}


def _plain(model: Any) -> dict[str, Any]:
    content: dict[str, Any] = model.model_dump(mode="json", by_alias=True)
    return content
