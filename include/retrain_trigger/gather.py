"""Gather the facts of a decision from the lake and the registry, decide, and write it down."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from include.due.definitions import DEFINITION, definition_of
from include.due.state import refusal_message, states, training_stands_refused
from include.due.wanted import ABSENT, wanted_clean, wanted_features
from include.lake.frames import arrow_schema
from include.lake.table import Lake, LakeTable, Published, Writer
from include.modelling.label_coverage import waits_for_labels
from include.modelling.training_set import fingerprint, labelled_partitions
from include.registry.client import Registry
from include.registry.ledger import Promotion
from include.retrain_trigger.decide import (
    Champion,
    Decision,
    Facts,
    Request,
    Window,
    decide_from,
)
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)

SCHEMA_COLUMNS = {
    "as_of": "string",
    "asks": "bool",
    "reasons": "string",
    "signals": "string",  # JSON
    "champion_version": "string",
    "run_id": "string",
    "decided_at": "timestamp",
}


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

    With a champion the decision is as of the key. Before the first one it is as of the newest
    labelled partition, whichever partition's arrival is looked at: a backlog of a year starts one
    training.

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
    decisions = _rows(lake.table(use_case.name, "decisions"))
    own = [row for row in decisions if run_id is not None and row["run_id"] == run_id]
    if own:
        return _decision_of(own[-1])
    as_of = key if champion is not None else newest_labelled(use_case, lake) or key
    # Before the facts: a report that comes meanwhile leaves the decision due.
    seen = lake.table(use_case.name, "monitoring").partition_versions([as_of]).get(as_of)
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
    landed = [key for key in lake.table(use_case.name, "raw").partitions() if key <= as_of]
    serves = (
        Champion(champion.version, champion.as_of, champion.holdout_partition) if champion else None
    )
    monitoring = _rows(lake.table(use_case.name, "monitoring")) if serves else []
    windows = windows_of(serves, monitoring) if serves else []
    refused = training_stands_refused(use_case, as_of, lake)
    return Facts(
        as_of=as_of,
        labelled=labelled,
        training_set=fingerprint(use_case, lake, labelled),
        champion=serves,
        windows=[window for window in windows if window.partition <= as_of],
        requests=standing_requests(use_case, lake, registry, decisions),
        incomplete=waits_for_labels(use_case, lake, as_of),
        pending=[] if serves else [*pending_partitions(use_case, lake, landed), *active],
        refused=refusal_message(use_case.name, "training", as_of, lake) if refused else None,
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
    rows = _rows(lake.table(use_case.name, "decisions")) if decisions is None else decisions
    asked = _requests(rows)
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
    asked = _requests(_rows(lake.table(use_case.name, "decisions")))
    return asked[-1] if asked else None


def newest_labelled(use_case: UseCase, lake: Lake) -> str | None:
    """Return the newest partition that can be learned from, None without one."""
    features = lake.table(use_case.name, "features").partitions()
    labelled = labelled_partitions(use_case, lake, features[-1]) if features else []
    return labelled[-1] if labelled else None


def record(use_case: UseCase, decision: Decision, lake: Lake, writer: Writer) -> Published:
    """Write a decision into `decisions`, beside the earlier ones of its partition.

    Three kinds of decision are not written: one that this run has written already, one that equals
    the last, and a no whose only reason is that the same training was asked for.

    Returns
    -------
    Published
        What stands.
    """
    table = lake.table(use_case.name, "decisions")
    known = decision.as_of in table.partitions()
    earlier = _rows(table, [decision.as_of]) if known else []
    row = _row_of(decision) | {"run_id": writer.run_id, "decided_at": datetime.now(UTC)}
    own = [old for old in earlier if old["run_id"] == writer.run_id]
    if any(_same(row, old) for old in [*own, *earlier[-1:]]) or _already_asked(row, earlier):
        rows = earlier
    else:
        said = (use_case.name, row["as_of"], row["asks"], row["reasons"])
        log.info("%s as of %s: ask=%s: %s", *said)
        rows = [*earlier, row]
    data = pa.Table.from_pylist(
        [{name: each[name] for name in SCHEMA_COLUMNS} for each in rows],
        schema=arrow_schema(SCHEMA_COLUMNS),
    )
    monitoring, seen = lake.table(use_case.name, "monitoring"), decision.seen
    return table.publish(
        data,
        partition=decision.as_of,
        schema=data.schema,
        writer=writer,
        consumed={
            DEFINITION: definition_of(use_case, "decisions"),
            **({monitoring.name: seen} if seen is not None else {}),
        },
    )


def windows_of(champion: Champion, monitoring: Sequence[dict[str, Any]]) -> list[Window]:
    """Return what the monitor found in the partitions this champion scored, oldest first.

    Only partitions newer than its holdout: older ones it has learned from.
    """
    drift: dict[str, bool | None] = {}
    decay: dict[str, bool | None] = {}
    for row in monitoring:
        if (
            row["model_version"] == champion.version
            and row["partition"] > champion.holdout_partition
        ):
            drift.setdefault(row["partition"], None)
            if row["kind"] == "prediction_drift":
                drift[row["partition"]] = row["flagged"]
            if row["kind"] == "performance":
                decay[row["partition"]] = row["flagged"]
    return [Window(key, drift[key], decay.get(key)) for key in sorted(drift)]


def _requests(decisions: Sequence[dict[str, Any]]) -> list[Request]:
    asked = [row for row in decisions if row["asks"]]
    signals = [json.loads(row["signals"]) for row in asked]
    return [
        Request(row["as_of"], said["newest_labelled"], said["training_set"])
        for row, said in zip(asked, signals, strict=True)
    ]


def _rows(table: LakeTable, partitions: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a small table, oldest partition first; none when it does not exist."""
    if not table.exists():
        return []
    rows: list[dict[str, Any]] = table.read(partitions).to_pylist()
    return sorted(rows, key=lambda row: (row["partition"], row.get("decided_at") or 0))


def _row_of(decision: Decision) -> dict[str, Any]:
    return {
        "as_of": decision.as_of,
        "asks": decision.ask,
        "reasons": "; ".join(decision.reasons),
        "signals": json.dumps(
            {"reasons": decision.reasons, **decision.signals}, sort_keys=True, allow_nan=False
        ),
        "champion_version": decision.champion_version,
    }


def _decision_of(row: dict[str, Any]) -> Decision:
    signals = json.loads(row["signals"])
    reasons = signals.pop("reasons")
    return Decision(row["asks"], row["as_of"], reasons, signals, row["champion_version"])


def _same(row: dict[str, Any], old: dict[str, Any]) -> bool:
    return all(row[name] == old[name] for name in SCHEMA_COLUMNS if name not in _WHO_AND_WHEN)


def _already_asked(row: dict[str, Any], earlier: Sequence[dict[str, Any]]) -> bool:
    """Whether a no follows a yes for the same training set and the same champion."""

    def about(one: dict[str, Any]) -> tuple[str, str | None]:
        return json.loads(one["signals"]).get("training_set", ""), one["champion_version"]

    return not row["asks"] and any(old["asks"] and about(old) == about(row) for old in earlier)


_WHO_AND_WHEN = {"run_id", "decided_at"}
