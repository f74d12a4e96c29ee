"""Find the work that is due and was not started.

Compares what the lake and the registry hold with what should be there. Each finding names the asset
whose event starts the phase, and the partition keys. Whether a run is queued or running already is
not known here: the operator asks Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from include.due.stages import STAGES
from include.due.state import training_stands_refused
from include.housekeeping.survey import Survey
from include.lake.table import Lake
from include.registry.client import Registry
from include.retrain_trigger.decide import decide_from
from include.retrain_trigger.gather import gather, newest_labelled, newest_request
from include.train_tune.request import is_finished, training_name
from include.use_cases.schema import UseCase


@dataclass(frozen=True)
class Lost:
    """Work that is due.

    Attributes
    ----------
    asset : str
        Name within the use case, such as `raw`: its event starts the phase.
    phase : str
        The Dag that does the work.
    because : dict of str to str
        Why, by partition key. The key '' stands for a phase without keys.
    """

    asset: str
    phase: str
    because: Mapping[str, str]


def find_lost(survey: Survey, registry: Registry) -> Iterator[Lost]:
    """Look at one phase after the other, from ingestion to deploy.

    Phases with nothing due are left out. A phase is looked at when the caller has dealt with those
    before it.

    Parameters
    ----------
    survey : Survey
        Of the use case.
    registry : Registry
        Where its trainings and models are.
    """
    use_case, lake = survey.use_case, survey.lake
    yield from _named("raw", _landed(survey))
    for table in ("clean", "votes", "features", "predictions", "monitoring"):
        yield from _named(table, _due(survey, table))
    if survey.champion is not None:
        yield from _named("decisions", _due(survey, "decisions"))
    elif first := _first_training(use_case, lake, registry):
        yield Lost("unscored", STAGES["decisions"].phase, first)
    yield from _named("training", _trainings(use_case, lake, registry))
    if unjudged := _unjudged(use_case, registry):
        yield Lost("candidate", "deploy", unjudged)


def _named(table: str, because: Mapping[str, str]) -> Iterator[Lost]:
    if because:
        yield Lost(STAGES[table].asset, STAGES[table].phase, because)


def _due(survey: Survey, table: str) -> dict[str, str]:
    return {key: state.because for key, state in survey.states(table).items() if state.due}


def _landed(survey: Survey) -> dict[str, str]:
    due = [
        f"{table} {key}"
        for table in survey.tables(STAGES["raw"].phase)
        for key in _due(survey, table)
    ]
    return {"": f"{len(due)} landed and not ingested: {', '.join(due[:5])}"} if due else {}


def _first_training(use_case: UseCase, lake: Lake, registry: Registry) -> dict[str, str]:
    """Decide on a first training as `retrain_trigger` would; name it if it would be asked for."""
    as_of = newest_labelled(use_case, lake)
    if as_of is None:
        return {}
    facts = gather(use_case, as_of, lake, registry, None)
    asked = newest_request(use_case, lake)
    if asked is not None and (asked.as_of, asked.training_set) == (as_of, facts.training_set):
        # It was decided: the training may be lost, and `_trainings` names it. One that fails or is
        # refused each time would otherwise be asked for at every look, for ever.
        return {}
    grain = use_case.ingest.partition.grain
    decision = decide_from(facts, use_case.retrain, use_case.partitions_needed, grain)
    return {as_of: "; ".join(decision.reasons)} if decision.ask else {}


def _trainings(use_case: UseCase, lake: Lake, registry: Registry) -> dict[str, str]:
    """Name the newest training that was asked for, if it has not finished.

    Also under the key of an earlier request: its run would be skipped as up to date.
    """
    request = newest_request(use_case, lake)
    if request is None:
        return {}
    status = registry.trainings(use_case.name).get(request.as_of)
    if training_stands_refused(use_case, request.as_of, lake):
        return {}
    # Before the first champion a partition is asked for again when its labels were corrected.
    if status == "FINISHED" and registry.has_learned(use_case.name, request.training_set):
        return {}
    if is_finished(registry, use_case.name, training_name(use_case, request.as_of, lake)):
        return {}
    stands = "not begun" if status in (None, "FINISHED") else status
    return {request.as_of: f"a training was asked for, and is {stands}"}


def _unjudged(use_case: UseCase, registry: Registry) -> dict[str, str]:
    """Name the newest model version, if the gate has not judged it; refits are not for the gate.

    One that nobody trained here (a person registered it in MLflow) is none of the gate's.
    """
    newest = registry.newest(use_case.name)
    if newest is None or registry.judged(use_case.name, newest):
        return {}
    as_of = registry.details(use_case.name, newest)["tags"].get("as_of")
    if as_of is None:
        return {}
    return {as_of: f"model version {newest} has not been judged"}
