"""Find the work that is due and was not started.

Compares what the lake and the registry hold with what should be there. Each finding names the asset
whose event starts the phase, and the partition keys. Whether a run is queued or running already is
not known here: the operator asks Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from include.due.state import states, training_stands_refused
from include.due.wanted import (
    ABSENT,
    Wanted,
    wanted_clean,
    wanted_decisions,
    wanted_features,
    wanted_monitoring,
    wanted_predictions,
)
from include.ingest_label.ingest import wanted_landed
from include.ingest_label.landing import Landing
from include.lake.table import Lake
from include.registry.client import Registry
from include.registry.ledger import Ledger, Promotion
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


def find_lost(
    use_case: UseCase, lake: Lake, landing: Landing, registry: Registry, ledger: Ledger
) -> Iterator[Lost]:
    """Look at every phase, from ingestion to deploy; phases with nothing due are left out."""
    champion = ledger.current()
    known_up_to = champion.holdout_partition if champion else None
    looks = [
        Lost("landing", "ingest_label", _landed(use_case, lake, landing)),
        Lost("raw", "validate_clean", _due(use_case, "clean", wanted_clean(use_case, lake), lake)),
        Lost("clean", "feature", _due(use_case, "features", wanted_features(use_case, lake), lake)),
        Lost(
            "features",
            "batch_predict",
            _due(use_case, "predictions", wanted_predictions(use_case, lake, known_up_to), lake),
        ),
        Lost(
            "predictions",
            "drift_monitor",
            _due(use_case, "monitoring", wanted_monitoring(use_case, lake), lake),
        ),
        _decisions(use_case, lake, registry, champion),
        Lost("training_request", "train_tune", _trainings(use_case, lake, registry)),
        Lost("candidate", "deploy", _unjudged(use_case, registry)),
    ]
    return (look for look in looks if look.because)


def _due(use_case: UseCase, stage: str, wanted: Wanted, lake: Lake) -> dict[str, str]:
    ready = {
        key: sources
        for key, sources in wanted.items()
        if stage == "monitoring" or ABSENT not in sources.values()
    }
    found = states(use_case.name, stage, ready, lake)
    return {key: state.because for key, state in found.items() if state.due}


def _landed(use_case: UseCase, lake: Lake, landing: Landing) -> dict[str, str]:
    due = [
        f"{stage} {key}"
        for stage, of_stage in wanted_landed(use_case, landing, lake).items()
        for key, state in states(use_case.name, stage, of_stage, lake).items()
        if state.due
    ]
    return {"": f"{len(due)} landed and not ingested: {', '.join(due[:5])}"} if due else {}


def _decisions(
    use_case: UseCase, lake: Lake, registry: Registry, champion: Promotion | None
) -> Lost:
    phase = "retrain_trigger"
    if champion is not None:
        due = _due(use_case, "decisions", wanted_decisions(use_case, lake), lake)
        return Lost("drift", phase, due)
    as_of = newest_labelled(use_case, lake)
    if as_of is None:
        return Lost("unscored", phase, {})
    facts = gather(use_case, as_of, lake, registry, None)
    grain = use_case.ingest.partition.grain
    asked = newest_request(use_case, lake)
    if asked is not None and (asked.as_of, asked.training_set) == (as_of, facts.training_set):
        # It was decided: the training may be lost, and `_trainings` names it. One that fails or is
        # refused each time would otherwise be asked for at every look, for ever.
        return Lost("unscored", phase, {})
    decision = decide_from(facts, use_case.retrain, use_case.train.min_partitions, grain)
    return Lost("unscored", phase, {as_of: "; ".join(decision.reasons)} if decision.ask else {})


def _trainings(use_case: UseCase, lake: Lake, registry: Registry) -> dict[str, str]:
    """Name the newest training that was asked for, if it has not finished.

    Also under the key of an earlier request: its run would be skipped as up to date.
    """
    request = newest_request(use_case, lake)
    if request is None:
        return {}
    status = registry.trainings(use_case.name).get(request.as_of)
    if status == "FINISHED" or training_stands_refused(use_case, request.as_of, lake):
        return {}
    if is_finished(registry, use_case.name, training_name(use_case, request.as_of, lake)):
        return {}
    return {request.as_of: f"a training was asked for, and is {status or 'not begun'}"}


def _unjudged(use_case: UseCase, registry: Registry) -> dict[str, str]:
    """Name the newest model version, if the gate has not judged it.

    One that nobody trained here (a person registered it in MLflow) is none of the gate's.
    """
    versions = registry.versions(use_case.name)
    if not versions or registry.judged(use_case.name, versions[-1]):
        return {}
    as_of = registry.details(use_case.name, versions[-1])["tags"].get("as_of")
    if as_of is None:
        return {}
    return {as_of: f"model version {versions[-1]} has not been judged"}
