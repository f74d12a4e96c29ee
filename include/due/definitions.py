"""The definition of a phase: what its result depends on, apart from its input.

That is its part of the YAML, its suite, its label rule, the Python of the use case that it runs,
and the version of our own code (`include.due.stages`). Its digest is published with the result.
When a person edits what a phase does, the partitions that it made before are out of date: that is
said, and the Dag `rebuild` makes them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from include.due.stages import REFERENCE, stage_of
from include.lake.records import digest_63
from include.use_cases.loader import load_suite, python_of
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase

DEFINITION = "definition"
"""Name under which a result notes the digest of its definition, beside the tables it read."""

Parts = dict[str, Any]
"""Parts of a definition by name; whatever JSON can hold."""


def definition_of(use_case: UseCase, stage: str, python: OwnPython | None = None) -> int:
    """Digest the definition of the phase that makes a stage of the lake.

    Parameters
    ----------
    use_case : UseCase
        As it is configured now.
    stage : str
        A table, such as `clean`, or `reference_<name>`.
    python : OwnPython, optional
        The use case's own, such as a model's copy; by default that of the working tree.

    Returns
    -------
    int
        From 1 to 2**63 - 1.
    """
    return digest_63(json.dumps(definition_parts(use_case, stage, python)).encode()) or 1


def definition_parts(
    use_case: UseCase, stage: str, python: OwnPython | None = None
) -> dict[str, str]:
    """Digest each part of a definition by itself, so that a change can be named.

    Parameters
    ----------
    use_case, stage, python : UseCase, str, OwnPython
        As for `definition_of`.

    Returns
    -------
    dict of str to str
        Name of the part, such as `suite`, and 16 hexadecimal digits. The code version is a number.
    """
    table = stage_of(stage)
    kind, _, name = stage.partition("_")
    if kind == REFERENCE:
        parts = _reference(use_case, name)
    elif stage == "features":
        parts = _features(use_case, python or python_of(use_case))
    else:
        parts = _PARTS[stage](use_case)
    digests = {
        name: f"{digest_63(json.dumps(content, sort_keys=True, default=str).encode()):016x}"
        for name, content in {"task": use_case.task, **parts}.items()
    }
    return {**digests, "code version": str(table.code_version)}


def _raw(use_case: UseCase) -> Parts:
    ingest = use_case.ingest
    return {
        "ingest.columns": ingest.columns,
        "ingest.format": _plain(ingest.format),
        "ingest.partition": _plain(ingest.partition),
    }


def _labels(use_case: UseCase) -> Parts:
    if use_case.labels is None:
        return {}
    labels = _plain(use_case.labels)
    for name in ("landing", "mature_after", "min_coverage"):
        del labels[name]  # none of them changes a value
    return {
        "labels": labels,
        "ingest.key": use_case.ingest.key,
        "timestamps": _times(use_case),
        "ingest.corrections": use_case.ingest.corrections.by,
    }


def _reference(use_case: UseCase, name: str) -> Parts:
    reference = use_case.ingest.references[name]
    written = _plain(reference.format)
    return {f"reference {name}": [reference.columns, written, reference.key, reference.as_of]}


def _clean(use_case: UseCase) -> Parts:
    return {
        "validate": use_case.validation.max_quarantined_share,
        "suite": load_suite(use_case).model_dump(mode="json"),
        "clean": _plain(use_case.clean),
        "ingest.columns": use_case.ingest.columns,
        "ingest.key": use_case.ingest.key,
        "ingest.corrections": use_case.ingest.corrections.by,
    }


def _features(use_case: UseCase, python: OwnPython) -> Parts:
    parts: Parts = {
        "features": _plain(use_case.features),
        "python": python.digest,
        "ingest.columns": use_case.ingest.columns,
        "ingest.key": use_case.ingest.key,
        "timestamps": _times(use_case),
    }
    for name in use_case.features.references:
        parts |= _reference(use_case, name)
    return parts


def _predictions(use_case: UseCase) -> Parts:
    # The model is no part of it: a new champion does not make earlier predictions due.
    return {"ingest.key": use_case.ingest.key}


def _monitoring(use_case: UseCase) -> Parts:
    return {
        "monitor": _plain(use_case.monitor),
        "train.metric": use_case.train.metric,
        "ingest.key": use_case.ingest.key,
    }


def _decisions(use_case: UseCase) -> Parts:
    return {
        "retrain": _plain(use_case.retrain),
        "train.min_partitions": use_case.partitions_needed,
    }


def _training(use_case: UseCase) -> Parts:
    return {
        "train": _plain(use_case.train),
        "features": use_case.features.columns,
        "ingest.key": use_case.ingest.key,
    }


_PARTS: Mapping[str, Callable[[UseCase], Parts]] = {
    "raw": _raw,
    "labels": _labels,
    "clean": _clean,
    "predictions": _predictions,
    "monitoring": _monitoring,
    "decisions": _decisions,
    "training": _training,
}


def _times(use_case: UseCase) -> list[str]:
    return use_case.times


def _plain(model: Any) -> dict[str, Any]:
    content: dict[str, Any] = model.model_dump(mode="json", by_alias=True)
    return content
