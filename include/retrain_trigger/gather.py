"""Gather the facts of a decision from the lake and the registry, and decide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from include.due.state import refusal_message, states, training_stands_refused
from include.due.wanted import ABSENT, wanted_clean, wanted_features
from include.lake.table import Lake
from include.modelling.label_coverage import waits_for_labels
from include.modelling.training_set import fingerprint, labelled_partitions
from include.registry.client import Registry
from include.registry.ledger import Promotion
from include.retrain_trigger.changed_labels import corrected_rows, new_labels
from include.retrain_trigger.decide import decide_from
from include.retrain_trigger.facts import (
    Champion,
    Decision,
    Facts,
    Request,
    Window,
    rows_to_learn,
)
from include.retrain_trigger.records import decision_of, requests_in, rows_of
from include.use_cases.schema import UseCase


def decide(
    use_case: UseCase,
    key: str,
    lake: Lake,
    registry: Registry,
    champion: Promotion | None,
    *,
    run_id: str | None = None,
    active: Sequence[str] = (),
) -> Decision:
    """Decide whether a training of this use case is due.

    With a champion the decision is as of the key. Labels that came to an older partition, which was
    not monitored, are looked at as of the champion's own partition: a training on less than it
    knows would be no news. Before the first champion it is as of the newest labelled partition,
    whichever partition's arrival is looked at: a backlog of a year starts one training.

    Parameters
    ----------
    use_case : UseCase
        Its `retrain` section has the rules.
    key : str
        The partition whose arrival is looked at.
    lake, registry : Lake, Registry
        Where the facts are.
    champion : Promotion or None
        What serves.
    run_id : str, optional
        Who asks. A run that has recorded its decision gets the same one again: a task that died
        after recording that it asks must, when retried, still ask, not find it asked for already.
    active : sequence of str
        Earlier phases that run now.

    Returns
    -------
    Decision
        Without any partition to learn from nothing is asked for.

    Raises
    ------
    ServiceUnavailable
        If the registry or the lake does not answer.
    """
    decisions = rows_of(lake.table(use_case.name, "decisions"))
    own = [row for row in decisions if run_id is not None and row["run_id"] == run_id]
    if own:
        return decision_of(own[-1])
    monitoring = lake.table(use_case.name, "monitoring")
    if champion is None:
        as_of = newest_labelled(use_case, lake) or key
    else:
        as_of = key if key in monitoring.partitions() else max(key, champion.as_of)
    # Before the facts: a report that comes meanwhile leaves the decision due.
    seen = monitoring.partition_versions([as_of]).get(as_of)
    facts = gather(use_case, as_of, lake, registry, champion, decisions, active)
    grain = use_case.ingest.partition.grain
    decision = decide_from(facts, use_case.retrain, use_case.partitions_needed, grain)
    return replace(decision, seen=seen)


def gather(
    use_case: UseCase,
    as_of: str,
    lake: Lake,
    registry: Registry,
    champion: Promotion | None,
    decisions: Sequence[dict[str, Any]] | None = None,
    active: Sequence[str] = (),
) -> Facts:
    """Collect what a decision as of `as_of` depends on."""
    labelled = labelled_partitions(use_case, lake, as_of)
    refused = training_stands_refused(use_case, as_of, lake)
    facts = Facts(
        as_of=as_of,
        labelled=labelled,
        training_set=fingerprint(use_case, lake, labelled),
        requests=standing_requests(use_case, lake, registry, decisions),
        incomplete=waits_for_labels(use_case, lake, as_of),
        refused=refusal_message(use_case.name, "training", as_of, lake) if refused else None,
    )
    if champion is None:
        landed = [key for key in lake.table(use_case.name, "raw").partitions() if key <= as_of]
        return replace(facts, pending=[*pending_partitions(use_case, lake, landed), *active])
    return _with_champion(facts, use_case, lake, registry, champion)


def _with_champion(
    facts: Facts, use_case: UseCase, lake: Lake, registry: Registry, champion: Promotion
) -> Facts:
    """Add what depends on the champion."""
    serves = Champion(champion.version, champion.as_of, champion.known_up_to)
    monitoring = rows_of(lake.table(use_case.name, "monitoring"))
    counts = lake.table(use_case.name, "labels" if use_case.labels else "features").row_counts()
    rows, new_rows, used = rows_to_learn(
        facts.labelled, counts, use_case.train.max_rows, serves.known_up_to
    )
    counted: dict[str, int | None] = {}
    counts_of = {"corrections": corrected_rows, "new_labels": new_labels}
    if wanted := [name for name in counts_of if name in use_case.retrain.when]:
        trained = registry.load(use_case.name, champion.version).facts  # what it was trained with
        counted = {name: counts_of[name](use_case, lake, trained, used) for name in wanted}
    return replace(
        facts,
        champion=serves,
        windows=[each for each in windows_of(serves, monitoring) if each.partition <= facts.as_of],
        rows=rows,
        new_rows=new_rows,
        corrected_rows=counted.get("corrections"),
        new_labels=counted.get("new_labels"),
    )


def pending_partitions(use_case: UseCase, lake: Lake, keys: Collection[str]) -> list[str]:
    """List those of the partitions that are in `raw` and lack features of their present version.

    A refused one is not waited for, and neither is one that waits for a reference table.
    """
    due: set[str] = set()
    for stage, wanted in (
        ("clean", wanted_clean(use_case, lake, keys)),
        ("features", wanted_features(use_case, lake, keys)),
    ):
        found = states(use_case.name, stage, wanted, lake)
        ready = {key for key, sources in wanted.items() if ABSENT not in sources.values()}
        due |= {key for key, state in found.items() if state.due and key in ready}
    return sorted(due)


def standing_requests(
    use_case: UseCase,
    lake: Lake,
    registry: Registry,
    decisions: Sequence[dict[str, Any]] | None = None,
) -> list[Request]:
    """List the trainings that were asked for, oldest first, without those that failed.

    A training that failed produced no model, so it must not prevent the next one.
    """
    rows = rows_of(lake.table(use_case.name, "decisions")) if decisions is None else decisions
    asked = requests_in(rows)
    if not asked:
        return []
    ended = registry.trainings(use_case.name)
    return [
        request
        for request in asked
        if ended.get(request.as_of) != "FAILED"
        and not training_stands_refused(use_case, request.as_of, lake)
    ]


def newest_request(use_case: UseCase, lake: Lake) -> Request | None:
    """Return the training that was asked for last, also when it failed."""
    asked = requests_in(rows_of(lake.table(use_case.name, "decisions")))
    return asked[-1] if asked else None


def newest_labelled(use_case: UseCase, lake: Lake) -> str | None:
    """Return the newest partition that can be learned from, None without one."""
    features = lake.table(use_case.name, "features").partitions()
    labelled = labelled_partitions(use_case, lake, features[-1]) if features else []
    return labelled[-1] if labelled else None


def windows_of(champion: Champion, monitoring: Sequence[dict[str, Any]]) -> list[Window]:
    """Return what the monitor found in partitions that are new to the champion, oldest first.

    Also in those that an earlier model scored: what it found there happened after all that the
    champion knows, so the promotion does not settle it. About a partition that the champion knows
    an earlier finding is over: the champion was chosen with these rows.

    Parameters
    ----------
    champion : Champion
        Says what is new.
    monitoring : sequence of dict
        Rows of the table `monitoring`: of each partition the last report.
    """
    found: dict[str, Window] = {}
    for row in monitoring:
        key, model = row["partition"], row["model_version"]
        if model is None or key <= champion.known_up_to:
            continue
        window = found.get(key, Window(key, None, None, model))
        if row["kind"] == "prediction_drift":
            window = replace(window, drift=row["flagged"])
        if row["kind"] == "performance":
            window = replace(window, decay=row["flagged"])
        found[key] = window
    return [found[key] for key in sorted(found)]
