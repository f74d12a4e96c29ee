"""The small facts that go with a commit: who published, from what, and what came of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from include.errors import DataContractError

Fact = str | int | float | bool
_KEY = "flywheel"
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Writer:
    """Who publishes.

    Attributes
    ----------
    run_id : str
        Airflow's run, or another name of what is going on.
    attempt : int
        Which try of it, from 1.
    token : int
        Rises with each attempt at a partition, over all runs: the lake refuses an attempt that a
        later one has overtaken.
    code_version : str
        As `include.provenance.code_version` says.
    """

    run_id: str
    attempt: int
    token: int
    code_version: str


@dataclass(frozen=True)
class Input:
    """A table that was read.

    Attributes
    ----------
    table : str
        Its name, `flight_delays.raw`.
    version : int
        The Delta version that was read.
    partition_version : int or None
        The version of the partition that was read; None where a whole table was.
    table_id : str or None
        Delta's id of the table: versions count within one table, and a table that was moved away
        and begun again counts from 0. None in what was noted before ids were.
    """

    table: str
    version: int
    partition_version: int | None
    table_id: str | None = None


@dataclass(frozen=True)
class Published:
    """What came of a publish.

    Attributes
    ----------
    version : int
        The Delta version; reads exactly this state again.
    partition_version : int
        Digest of the rows: equal rows have equal versions.
    changed : bool
        Whether the rows differ from those that were there before.
    """

    table: str
    partition: str
    version: int
    partition_version: int
    rows: int
    changed: bool = True


def commit_metadata(
    partition: str,
    writer: Writer,
    *,
    rows: int,
    columns: Sequence[str] = (),
    inputs: Sequence[Input] = (),
    consumed: Mapping[str, int] | None = None,
    facts: Mapping[str, Fact] | None = None,
) -> dict[str, Any]:
    """Metadata of a commit, JSON-safe.

    Raises
    ------
    DataContractError
        When a fact is not a string, a finite number or a truth value: the log could not hold it.
    """
    for name, value in (facts or {}).items():
        if not isinstance(value, str | int | float) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise DataContractError(
                f"facts.{name}: must be a string, a finite number or a bool, got {value!r} "
                f"({type(value).__name__}). Convert it, or leave it out."
            )
    return {
        _KEY: {
            "partition": partition,
            "fence": [partition, writer.token],
            **asdict(writer),
            "rows": rows,
            "columns": list(columns),
            "inputs": [asdict(one) for one in inputs],
            "consumed": dict(consumed or {}),
            "facts": dict(facts or {}),
        }
    }


def append_metadata(
    partition: str, app_id: str, sequence: int, rows: int, run_id: str | None
) -> dict[str, Any]:
    """Metadata of an append, JSON-safe."""
    fence = [app_id, sequence]
    return {_KEY: {"partition": partition, "fence": fence, "rows": rows, "run_id": run_id}}


def unchanged(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a commit that writes no rows, because the partition holds them already."""
    return {_KEY: {**metadata[_KEY], "changed": False}}


def commit_record(commit: Mapping[str, Any]) -> dict[str, Any] | None:
    """One entry of Delta's history as a flat, JSON-safe dictionary; None where it is no publish."""
    ours = commit.get(_KEY)
    if not isinstance(ours, Mapping):
        return None
    moment = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
    told = {"version": commit["version"], "timestamp": moment.isoformat()}
    return {**told, "changed": True, **ours}


def content_of(partition: str, within: Mapping[str, str] | None = None) -> str:
    """Name the transaction that holds the digest of rows; no partition has a '#' or a '/'.

    Of a partition it is the digest of what was published last, which may be a slice.
    """
    slices = [f"/{column}={value}" for column, value in (within or {}).items()]
    return f"{partition}{''.join(slices)}#"


def digest_63(content: bytes) -> int:
    """Digest bytes into a number below 2**63, as a Delta transaction holds it."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1


def check_token(token: int, where: str) -> None:
    """Refuse what Delta's 64-bit transaction versions cannot hold, and what would not fence."""
    if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token <= _MOST:
        raise DataContractError(
            f"{where}: must be a whole number from 0 to 2**63 - 1, got {token!r}. "
            "Take a number that rises with each attempt."
        )
