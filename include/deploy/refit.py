"""Fit what the gate accepted once more, with the holdout: the newest rows are learned too.

The gate judges a configuration, on rows that the evaluated model has not learned. With labels that
come a month late, that model would serve without the newest month that has labels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from include.deploy.refit_checks import Checked, check_refit
from include.due.mixed import named_in_tags
from include.errors import DataContractError
from include.lake.pins import pinned_versions
from include.lake.table import Lake
from include.modelling.fit import fit
from include.modelling.known_rows import KnownRows, load_known_rows
from include.modelling.metrics import judged
from include.modelling.scoring import monitored, score_rows
from include.modelling.training_set import wide
from include.provenance import environment
from include.registry.client import Registry
from include.registry.ledger import REFIT_OF
from include.registry.package import ServableModel
from include.registry.packing import Packed, pack_and_register
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refit:
    """What came of a refit.

    Attributes
    ----------
    version : str or None
        Its model version; None where a check failed: nothing was registered then.
    reasons : list of str
        What it is, or why it may not serve.
    """

    version: str | None
    reasons: list[str]


def refit(use_case: UseCase, version: str, lake: Lake, registry: Registry, work_dir: Path) -> Refit:
    """Fit a version's configuration on all rows that its training knew, check it and register it.

    The lake is read at the versions that the judged version was pinned to: the refit can be
    reproduced, and learns the labels that the gate judged by. Its package says which version its
    metrics and its reference are of. Idempotent: a version has one refit.

    Parameters
    ----------
    use_case : UseCase
        Gives the rule, ``deploy``. The version's package says how the model is fitted.
    version : str
        The version that was judged.
    lake : Lake
        Holds the rows.
    registry : Registry
        Holds the version; it must know the signing key.
    work_dir : Path
        Where the package is made.

    Raises
    ------
    DataContractError
        The rows that the version learned from cannot be read any more, or what the registry calls
        its refit is another model's.
    """
    if (known := registry.refit_of(use_case.name, version)) is not None:
        return _made_before(use_case, version, registry.load(use_case.name, known))
    evaluated = registry.load(use_case.name, version)
    facts = evaluated.facts
    versions = pinned_versions(lake, facts["inputs"])
    rows = load_known_rows(evaluated.use_case, lake, versions, facts["partitions"])
    settings = facts["candidate"], facts["params"]
    estimator = fit(evaluated.use_case, *settings, rows.X, rows.y, weight=rows.learning_weight)
    checked = _checked(use_case, evaluated, estimator, rows)
    if checked.reasons_against:
        return Refit(None, [f"refit: {each}" for each in checked.reasons_against])
    reasons = [_what_serves(version, rows, checked)]
    model = Packed(
        use_case=evaluated.use_case,
        python=evaluated.python,
        estimator=estimator,
        reference=_reference(evaluated, estimator),
        facts={
            **facts,
            "run_id": _run(registry, evaluated),
            "evaluated_version": version,
            "learned_from": rows.learned_from,
            "refit_agreement": checked.agreement,
            "refit_reasons": reasons,
            **environment(),
        },
    )
    tags = named_in_tags(facts["mixed_definitions"])
    made = pack_and_register(model, tags, lake, registry, work_dir)
    log.info("%s: version %s is the refit of version %s", use_case.name, made, version)
    return Refit(made, reasons)


def _made_before(use_case: UseCase, version: str, made: ServableModel) -> Refit:
    """Check that the signed package says so too: whoever can write into MLflow can set the tag."""
    if (judged_version := made.facts.get("evaluated_version")) != version:
        raise DataContractError(
            f"{use_case.name}: the package of model version {made.version}, which the registry "
            f"calls the refit of version {version} (tag {REFIT_OF}), must say so too, but it names "
            f"{judged_version or 'none'}. Nothing was promoted. Find out who set the tag, remove "
            f"it, then start {use_case.name}__deploy again."
        )
    return Refit(made.version, made.facts["refit_reasons"])


def _checked(
    use_case: UseCase, evaluated: ServableModel, estimator: Any, known: KnownRows
) -> Checked:
    """Compare the two on the holdout, in the features that the evaluated version was trained with.

    Of a holdout with more than `train.max_rows` rows the newest are compared.
    """
    trained, facts = evaluated.use_case, evaluated.facts
    holdout = known.to_judge(facts.get("holdout_partitions") or facts["partitions"][-1:])
    rows = judged(trained, wide(holdout.X), holdout.y, holdout.weight)
    scores = [score_rows(each, rows.X, trained) for each in (evaluated.estimator, estimator)]
    return check_refit(use_case, rows, holdout.blocks[rows.X.index], *scores)


def _what_serves(version: str, rows: KnownRows, checked: Checked) -> str:
    first, last = rows.learned_from[0], rows.learned_from[-1]
    return (
        f"refit: what serves is the configuration of version {version}, fitted again on "
        f"{len(rows.X)} rows of {first} to {last}, the holdout among them; all figures are of "
        f"version {version}, with which it agrees by {checked.agreement:.2f}"
    )


def _reference(evaluated: ServableModel, estimator: Any) -> pd.DataFrame:
    """Give the evaluated model's reference: the refit is too sure of rows that it has learned.

    A clustering is the exception: its cluster numbers are its own, so it predicts the same rows.
    """
    reference = evaluated.reference
    if evaluated.use_case.task != "clustering":
        return reference
    X = reference.drop(columns="prediction")
    scores = score_rows(estimator, X, evaluated.use_case)
    return reference.assign(prediction=monitored(scores, evaluated.use_case))


def _run(registry: Registry, evaluated: ServableModel) -> str:
    tags: Mapping[str, str] = {
        "flywheel.phase": "deploy",
        "flywheel.as_of": evaluated.facts["as_of"],
        "flywheel.refit_of": evaluated.version,
    }
    request = f"refit of version {evaluated.version}"
    return registry.run(evaluated.use_case.name, request, request, tags)
