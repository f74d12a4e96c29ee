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
from include.use_cases.loader import labels_python_of, load_suite, python_of
from include.use_cases.own_code import is_own, modules_of, split
from include.use_cases.python_package import FEATURES, OwnPython
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
    # None of these changes what landed files say; the rules are the definition of `votes`.
    for name in ("landing", "mature_after", "min_coverage", "rules", "people", "precedence"):
        del labels[name]
    return {
        "labels": labels,
        "ingest.key": use_case.ingest.key,
        "timestamps": _times(use_case),
        "ingest.corrections": use_case.ingest.corrections.by,
        **_label_confidence(use_case),
    }


def _votes(use_case: UseCase) -> Parts:
    if use_case.labels is None or use_case.labels.rules is None:
        return {}
    return {
        "labels.rules": _plain(use_case.labels.rules),
        "labels.precedence": use_case.labels.precedence,
        "labels.py": labels_python_of(use_case).digest,
        "ingest.columns": use_case.ingest.columns,
        "ingest.key": use_case.ingest.key,
        "timestamps": _times(use_case),
        **_class_names(use_case),
        **_label_confidence(use_case),
    }


def _label_rounds(use_case: UseCase) -> Parts:
    if use_case.labels is None or use_case.labels.people is None:
        return {}
    return {
        "labels.people": _plain(use_case.labels.people),
        "labels.classes": use_case.labels.answers,
        "ingest.key": use_case.ingest.key,
    }


def _label_quality(use_case: UseCase) -> Parts:
    return {"features": use_case.features.columns, "ingest.key": use_case.ingest.key}


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
        "python": python.part(FEATURES).digest,
        "ingest.columns": use_case.ingest.columns,
        "ingest.key": use_case.ingest.key,
        "timestamps": _times(use_case),
    }
    parts |= _sample_weight(use_case)
    for name in use_case.features.references:
        parts |= _reference(use_case, name)
    return parts


def _predictions(use_case: UseCase) -> Parts:
    # The model is no part of it: a new champion does not make earlier predictions due.
    return {"ingest.key": use_case.ingest.key, **_class_names(use_case)}


def _monitoring(use_case: UseCase) -> Parts:
    return {
        "monitor": _plain(use_case.monitor),
        "train.metric": use_case.train.metric,
        **_own_metric(use_case),
        "ingest.key": use_case.ingest.key,
        **_class_names(use_case),
        **_sample_weight(use_case),
    }


def _decisions(use_case: UseCase) -> Parts:
    return {
        "retrain": _plain(use_case.retrain),
        "train.min_partitions": use_case.partitions_needed,
    }


def _own_metric(use_case: UseCase) -> Parts:
    name = use_case.train.metric
    if not is_own(name) or use_case.python is None:
        return {}
    return {"own metric": use_case.python.part(split(name)[0]).digest}


def _training(use_case: UseCase) -> Parts:
    python = use_case.python
    own = {} if python is None else {"own code": python.part(*modules_of(use_case)).digest}
    return {
        "train": _plain(use_case.train),
        **own,
        "features": use_case.features.columns,
        "ingest.key": use_case.ingest.key,
    }


_PARTS: Mapping[str, Callable[[UseCase], Parts]] = {
    "raw": _raw,
    "labels": _labels,
    "clean": _clean,
    "votes": _votes,
    "label_rounds": _label_rounds,
    "label_quality": _label_quality,
    "predictions": _predictions,
    "monitoring": _monitoring,
    "decisions": _decisions,
    "training": _training,
}


def _class_names(use_case: UseCase) -> Parts:
    """Several classes name columns of predictions; of two there is nothing to name."""
    return {"labels.classes": use_case.class_names} if use_case.class_names else {}


def _sample_weight(use_case: UseCase) -> Parts:
    weight = use_case.train.sample_weight
    return {} if weight is None else {"train.sample_weight": weight}


def _label_confidence(use_case: UseCase) -> Parts:
    """Where trainings weigh by it, the confidence is a column of the labels."""
    given = use_case.train.label_confidence
    return {} if given == "ignore" else {"train.label_confidence": given}


def _times(use_case: UseCase) -> list[str]:
    return use_case.times


def _plain(model: Any) -> dict[str, Any]:
    content: dict[str, Any] = model.model_dump(mode="json", by_alias=True)
    return content
