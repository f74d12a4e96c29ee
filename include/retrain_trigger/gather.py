"""Gather the facts of a decision from the lake and the registry, decide, and write it down."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from include.lake.frames import arrow_schema
from include.lake.table import Lake, LakeTable, Published, Writer
from include.modelling.training_set import fingerprint, labelled_partitions
from include.registry.client import CHAMPION, Registry
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
    use_case: UseCase, lake: Lake, registry: Registry, run_id: str | None = None
) -> Decision:
    """Decide whether a training of this use case is due.

    Parameters
    ----------
    use_case : UseCase
        Its `retrain` section has the rules.
    lake, registry : Lake, Registry
        Where the facts are.
    run_id : str, optional
        Who asks. A run that has recorded its decision gets the same one again: a task that died
        after recording that it asks must, when retried, still ask, not find it asked for already.

    Returns
    -------
    Decision
        Without any features `as_of` is '' and nothing is asked for.

    Raises
    ------
    ServiceUnavailable
        If the registry or the lake does not answer.
    """
    decisions = _rows(lake.table(use_case.name, "decisions"))
    own = [row for row in decisions if run_id is not None and row["run_id"] == run_id]
    if own:
        return _decision_of(own[-1])
    partitions = lake.table(use_case.name, "features").partitions()
    if not partitions:
        return Decision(False, "", [f"{use_case.name} has no features yet: nothing to learn from"])
    facts = gather(use_case, partitions[-1], lake, registry, decisions)
    grain = use_case.ingest.partition.grain
    return decide_from(facts, use_case.retrain, use_case.train.min_partitions, grain)


def gather(
    use_case: UseCase,
    as_of: str,
    lake: Lake,
    registry: Registry,
    decisions: Sequence[dict[str, Any]],
) -> Facts:
    """Collect what a decision as of `as_of` depends on."""
    labelled = labelled_partitions(use_case, lake, as_of)
    champion = _champion(use_case, registry)
    monitoring = _rows(lake.table(use_case.name, "monitoring"))
    return Facts(
        as_of=as_of,
        labelled=labelled,
        training_set=fingerprint(use_case, lake, labelled),
        champion=champion,
        windows=windows_of(champion, monitoring) if champion else [],
        requests=_requests(decisions),
    )


def record(use_case: UseCase, decision: Decision, lake: Lake, writer: Writer) -> Published | None:
    """Write a decision into `decisions`, beside the earlier ones of its partition.

    What says nothing new is not written: a decision that this run wrote already, one that repeats
    the last, and a no only because exactly this training was asked for.

    Returns
    -------
    Published or None
        What stands; None for a decision without `as_of`, which there is nothing to file under.
    """
    if not decision.as_of:
        return None
    table = lake.table(use_case.name, "decisions")
    version = table.partition_version(decision.as_of)
    earlier = _rows(table, [decision.as_of]) if version is not None else []
    row = _row_of(decision) | {"run_id": writer.run_id, "decided_at": datetime.now(UTC)}
    own = [old for old in earlier if old["run_id"] == writer.run_id]
    known = any(_same(row, old) for old in [*own, *earlier[-1:]])
    if version is not None and (known or _already_asked(row, earlier)):
        return Published(table.name, decision.as_of, table.version(), version, len(earlier))
    log.info("%s as of %s: ask=%s: %s", use_case.name, row["as_of"], row["asks"], row["reasons"])
    columns = list(SCHEMA_COLUMNS)
    data = pa.Table.from_pylist(
        [{name: each[name] for name in columns} for each in [*earlier, row]],
        schema=arrow_schema(SCHEMA_COLUMNS),
    )
    return table.publish(data, partition=decision.as_of, schema=data.schema, writer=writer)


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


def _champion(use_case: UseCase, registry: Registry) -> Champion | None:
    version = registry.version_of(use_case.name, CHAMPION)
    if version is None:
        return None
    tags = registry.details(use_case.name, version)["tags"]
    return Champion(version, tags["as_of"], tags["holdout_partition"])


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
