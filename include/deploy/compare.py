"""Is a challenger to serve? From model versions and the lake to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from include.deploy.contenders import Contender, Rows
from include.deploy.evidence import evidence_of
from include.deploy.holdout import NamedRows
from include.deploy.looks import look_of
from include.deploy.rule import Verdict, judge
from include.due.definitions import definition_of
from include.errors import DataContractError
from include.lake.pins import pinned_versions
from include.lake.table import Lake
from include.modelling.labelled_rows import LabelledRows
from include.modelling.metrics import metric_of
from include.modelling.scoring import check_classes
from include.modelling.training_set import (
    TrainingSet,
    holdout_rows,
    load_as_then,
    training_rows,
)
from include.registry.client import Registry
from include.registry.ledger import REFIT_OF
from include.registry.package import ServableModel
from include.use_cases.schema import UseCase


def compare(
    use_case: UseCase, version: str, champion_version: str | None, lake: Lake, registry: Registry
) -> Verdict:
    """Judge a version on its holdout, at its lake versions, against what serves.

    Each model sees the features that its own Python and its own YAML build of these rows, as it
    would when it serves: an edit of the working tree changes neither's figures.

    Parameters
    ----------
    use_case : UseCase
        Gives the rule.
    version : str
        The challenger.
    champion_version : str or None
        What serves; None before the first promotion.
    lake : Lake
        Holds the rows.
    registry : Registry
        Holds the models.
    """
    challenger = registry.load(use_case.name, version)
    _check_judgeable(challenger)
    check_classes(use_case, challenger.use_case)
    champion = None
    if champion_version is not None:
        champion = registry.load(use_case.name, champion_version)
        if version in (champion_version, champion.facts.get("evaluated_version")):
            return _serves_already(use_case, challenger, champion_version)
    training = load_as_then(challenger.use_case, lake, challenger.facts)
    rows = Rows.of(training)
    named = _Named(challenger, training, lake)
    ours = _contender(challenger, training.train_X, named.holdout.features_of(challenger, lake))
    notes: list[str] = []
    theirs, about = None, {}
    if champion is not None:
        about = _about(challenger, champion, training, lake)
        if challenger.use_case.train.split.time is None:
            champion = _before_its_refit(champion, challenger, registry, notes)
            about["knows_holdout"] = _learned_other_rows(champion, challenger)
        theirs = named.champion(champion, ours, notes)
    evidence = evidence_of(use_case, rows, ours, theirs, **about, notes=notes)
    evidence = replace(evidence, first=champion_version is None)
    look = look_of(use_case.name, version, training.holdout_partitions[0], registry)
    verdict = judge(evidence, use_case.deploy, look)
    # Also where the champion could not be judged: a promotion names what it takes the place of.
    return replace(verdict, champion_version=champion_version)


class _Named:
    """The rows of a challenger's training by their keys, read when a model needs them."""

    def __init__(self, challenger: ServableModel, training: TrainingSet, lake: Lake) -> None:
        self._challenger, self._training, self._lake = challenger, training, lake
        use_case = challenger.use_case
        versions = pinned_versions(lake, challenger.facts["inputs"])
        self._tables = LabelledRows.of(use_case, lake, versions)
        timed = use_case.train.split.time is not None
        self._held_out = len(training.holdout_partitions) if timed else 0
        self.holdout = self._named(holdout_rows)

    def _named(self, read: Callable[[LabelledRows, Sequence[str], int], pa.Table]) -> NamedRows:
        use_case, tables = self._challenger.use_case, self._tables
        version = tables.versions[tables.features.name]
        rows = read(tables, self._training.partitions, self._held_out)
        return NamedRows.of(rows, use_case, version)

    def champion(
        self, champion: ServableModel, ours: Contender, notes: list[str]
    ) -> Contender | None:
        """Give the champion its features, or None; note what a reader of the verdict must know."""
        try:
            check_classes(self._challenger.use_case, champion.use_case)
        except DataContractError as error:
            notes.append(_cannot_score(champion, error))
            return None
        if _features(champion) == _features(self._challenger):
            return _contender(champion, ours.train_X, ours.holdout_X)
        try:
            holdout_X = self.holdout.features_of(champion, self._lake)
        except DataContractError as error:
            notes.append(_cannot_score(champion, error))
            return None
        try:
            train_X = self._named(training_rows).features_of(champion, self._lake)
        except DataContractError as error:
            notes.append(
                f"the configuration of champion {champion.version} cannot be fitted again: {error}"
            )
            return _contender(champion, None, holdout_X)
        return _contender(champion, train_X, holdout_X)


def _cannot_score(champion: ServableModel, error: DataContractError) -> str:
    return (
        f"champion {champion.version} cannot score these rows, so the challenger is judged as if "
        f"nothing served: {error}"
    )


def _contender(
    model: ServableModel, train_X: pd.DataFrame | None, holdout_X: pd.DataFrame
) -> Contender:
    return Contender(
        version=model.version,
        use_case=model.use_case,
        candidate=model.facts["candidate"],
        params=model.facts["params"],
        estimator=model.estimator,
        train_X=train_X,
        holdout_X=holdout_X,
    )


def _features(model: ServableModel) -> tuple[int, list[str]]:
    """Return what names the features that a model sees."""
    columns = model.use_case.features.columns
    return definition_of(model.use_case, "features", model.python), columns


def _about(
    challenger: ServableModel, champion: ServableModel, training: TrainingSet, lake: Lake
) -> dict[str, bool]:
    """Say what the two have in common."""
    ours, theirs = challenger.facts, champion.facts
    settings = [
        (model.facts["candidate"], model.facts["params"], _features(model))
        for model in (challenger, champion)
    ]
    newest, known = ours["partitions"][-1], theirs["partitions"][-1]
    newer = newest > known
    if newest == known:  # labels that were corrected since are newer data too
        # A refit has the number of its day; what it knows is what the judged version knew.
        judged = theirs.get("evaluated_version", champion.version)
        newer = int(challenger.version) > int(judged) and (
            _content(challenger, lake) != _content(champion, lake)
        )
    return {
        "same_configuration": settings[0] == settings[1],
        "newer": newer,
        "older": newest < known,
        "knows_holdout": learned_until(theirs) >= training.holdout_partitions[0],
    }


def _before_its_refit(
    champion: ServableModel, challenger: ServableModel, registry: Registry, notes: list[str]
) -> ServableModel:
    """Return the model that a champion was before it learned its holdout.

    In a split without time the same units are held out of each training, so that model knows none
    of those that the challenger is judged on; the champion itself knows all of its own.
    """
    evaluated = champion.facts.get("evaluated_version")
    if evaluated is None or not _same_split(champion, challenger):
        return champion
    notes.append(
        f"champion {champion.version} has learned rows that are judged here: version {evaluated}, "
        "of which it is the refit, has not, and stands for it"
    )
    return registry.load(challenger.use_case.name, str(evaluated))


def _learned_other_rows(champion: ServableModel, challenger: ServableModel) -> bool:
    """Whether a champion may have learned rows of a holdout, in a split without time."""
    refit = champion.facts.get("evaluated_version") is not None
    return refit or not _same_split(champion, challenger)


def _same_split(one: ServableModel, other: ServableModel) -> bool:
    """Whether the two hold out the same units."""
    ours, theirs = (model.use_case for model in (one, other))
    shares = [(each.train.split.by, each.train.split.holdout) for each in (ours, theirs)]
    return shares[0] == shares[1] and ours.ingest.key == theirs.ingest.key


def learned_until(facts: Mapping[str, Any]) -> str:
    """Return the newest partition that a model has learned rows of.

    The fact `learned_from` lists them; of a model that was fitted on its holdout it includes it.
    """
    if learned := facts.get("learned_from"):
        return str(max(learned))
    held_out = facts.get("holdout_partitions") or facts["partitions"][-1:]
    return str(facts["partitions"][-len(held_out) - 1])


def _content(model: ServableModel, lake: Lake) -> list[Any] | None:
    """Return the digests of the partitions that a model was trained with; None if they are gone."""
    partitions = model.facts["partitions"]
    try:
        versions = pinned_versions(lake, model.facts["inputs"])
    except DataContractError:
        return None
    tables = [
        lake.table(model.use_case.name, stage)
        for stage in ("features", "labels")
        if f"{model.use_case.name}.{stage}" in versions
    ]
    return [table.partition_versions(partitions, versions[table.name]) for table in tables]


def _check_judgeable(challenger: ServableModel) -> None:
    """Refuse a package that says it is a refit: it has learned the rows that it would be judged on.

    The registry's tag says so too, but whoever may write into MLflow can register the package once
    more without it.
    """
    if (evaluated := challenger.facts.get("evaluated_version")) is not None:
        name = challenger.use_case.name
        raise DataContractError(
            f"{name}: version {challenger.version} must have rows that it has not learned to be "
            f"judged on, but its package says that it is the refit of version {evaluated}. "
            f"Nothing was promoted. Start {name}__deploy with version {evaluated}; if version "
            f"{challenger.version} lacks the tag {REFIT_OF}, find out who registered it."
        )


def _serves_already(use_case: UseCase, model: ServableModel, champion_version: str) -> Verdict:
    """Return a verdict with the figures of the training: there is nothing to decide."""
    metric, facts = metric_of(use_case), model.facts
    own = facts["metrics"][metric.name]
    dummy, linear = (facts["baselines"][name].get(metric.name) for name in ("dummy", "linear"))
    itself = "" if model.version == champion_version else f", fitted again as {champion_version}"
    return Verdict(
        promote=False,
        reasons=[f"version {model.version} is champion already{itself}: nothing to do"],
        metric=metric.name,
        challenger=own,
        champion=None,
        dummy=dummy,
        linear=linear,
        effect=None if dummy is None else metric.gain(own, dummy),
        confidence_low=None,
        rows=int(facts.get("holdout_rows", 0)),
        holdout_partition=facts["holdout_partition"],
        champion_version=champion_version,
    )
