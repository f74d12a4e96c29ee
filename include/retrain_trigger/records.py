"""The table `decisions`: what was decided, and which trainings were asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from include.due.definitions import DEFINITION, definition_of
from include.lake.frames import arrow_schema
from include.lake.table import Lake, LakeTable, Published, Writer
from include.retrain_trigger.facts import Decision, Request
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
_WHO_AND_WHEN = {"run_id", "decided_at"}


def rows_of(table: LakeTable, partitions: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a small table, oldest partition first; none when it does not exist."""
    if not table.exists():
        return []
    rows: list[dict[str, Any]] = table.read(partitions).to_pylist()
    return sorted(rows, key=lambda row: (row["partition"], row.get("decided_at") or 0))


def requests_in(decisions: Sequence[dict[str, Any]]) -> list[Request]:
    """Return the trainings that these rows of `decisions` asked for, in their order."""
    asked = [row for row in decisions if row["asks"]]
    signals = [json.loads(row["signals"]) for row in asked]
    return [
        Request(row["as_of"], said["newest_labelled"], said["training_set"])
        for row, said in zip(asked, signals, strict=True)
    ]


def decision_of(row: dict[str, Any]) -> Decision:
    """Make a decision of its row again."""
    signals = json.loads(row["signals"])
    reasons = signals.pop("reasons")
    return Decision(row["asks"], row["as_of"], reasons, signals, row["champion_version"])


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
    earlier = rows_of(table, [decision.as_of]) if known else []
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


def _same(row: dict[str, Any], old: dict[str, Any]) -> bool:
    return all(row[name] == old[name] for name in SCHEMA_COLUMNS if name not in _WHO_AND_WHEN)


def _already_asked(row: dict[str, Any], earlier: Sequence[dict[str, Any]]) -> bool:
    """Whether a no follows a yes for the same training set and the same champion."""

    def about(one: dict[str, Any]) -> tuple[str, str | None]:
        return json.loads(one["signals"]).get("training_set", ""), one["champion_version"]

    return not row["asks"] and any(old["asks"] and about(old) == about(row) for old in earlier)
