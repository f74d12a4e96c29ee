"""Whether a partition is due: what it was made from, compared with what it would be made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa

from include.due.definitions import DEFINITION
from include.due.remedy import remedy
from include.due.wanted import ABSENT, Sources, Wanted, wanted_training
from include.lake.frames import arrow_schema
from include.lake.records import digest_63
from include.lake.table import Lake, Writer
from include.use_cases.schema import UseCase

_REFUSALS = "refusals"
_INPUTS = "inputs"
_COLUMNS = {
    "stage": "string",
    "key": "string",
    "inputs": "string",  # JSON: source and version
    "words": "string",
    "run_id": "string",
    "refused_at": "timestamp",
}


@dataclass(frozen=True)
class State:
    """Whether one partition of a stage is due, and why.

    Attributes
    ----------
    status : {'due', 'out of date', 'up to date', 'refused'}
        Due: its input is new, or it has no result. Out of date: made from the input of today, by
        another definition; that alone starts nothing, because one edit would make a year of
        partitions again. Refused: the same input was tried with the same definition, and was
        refused.
    because : str
        A sentence.
    made_by : int or None
        Digest of the definition of the result that is out of date.
    """

    status: Literal["due", "out of date", "up to date", "refused"]
    because: str
    made_by: int | None = None

    @property
    def due(self) -> bool:
        """Whether there is work to do."""
        return self.status == "due"


def states(use_case: str, stage: str, wanted: Wanted, lake: Lake) -> dict[str, State]:
    """Return the state of each wanted partition of a stage, from one look at two tables.

    Parameters
    ----------
    use_case, stage : str
        Name the table that is made.
    wanted : mapping
        What each of its partitions would be made from now.
    lake : Lake
        Where it is.
    """
    if not wanted:
        return {}
    made = lake.table(use_case, stage).made_from(wanted)
    refusals = lake.table(use_case, _REFUSALS)
    names = {f"{stage}.{key}": key for key in wanted}
    refused = refusals.made_from({name: [_INPUTS] for name in names})
    return {
        key: _state(use_case, stage, key, wanted[key], made[key], refused[name][_INPUTS])
        for name, key in names.items()
    }


def refuse(
    use_case: str, stage: str, key: str, sources: Sources, words: str, lake: Lake, writer: Writer
) -> None:
    """Remember that an input was refused, so that it is tried again only when it changes.

    Parameters
    ----------
    use_case, stage, key : str
        What could not be made.
    sources : mapping
        What it was tried with.
    words : str
        Why not, and what to do.
    lake, writer : Lake, Writer
        Where the refusal is kept, and who writes it.
    """
    row = {
        "stage": stage,
        "key": key,
        "inputs": json.dumps(dict(sources), sort_keys=True),
        "words": words,
        "run_id": writer.run_id,
        "refused_at": datetime.now(UTC),
    }
    data = pa.Table.from_pylist([row], schema=arrow_schema(_COLUMNS))
    lake.table(use_case, _REFUSALS).publish(
        data,
        partition=f"{stage}.{key}",
        schema=data.schema,
        writer=writer,
        consumed={_INPUTS: _digest(sources)},
        volatile=("run_id", "refused_at"),
    )


def refusal_message(use_case: str, stage: str, key: str, lake: Lake) -> str | None:
    """Return the message of a partition's last refusal, also after it was corrected; or None."""
    table, name = lake.table(use_case, _REFUSALS), f"{stage}.{key}"
    if name not in table.partitions():
        return None
    return str(table.read([name], ["words"])["words"][0].as_py())


def standing_refusals(use_case: str, stage: str, wanted: Wanted, lake: Lake) -> Mapping[str, str]:
    """Return the message of each wanted partition that is refused as things are."""
    refused = [
        key for key, state in states(use_case, stage, wanted, lake).items()
        if state.status == "refused"
    ]  # fmt: skip
    return {key: refusal_message(use_case, stage, key, lake) or "" for key in refused}


def training_stands_refused(use_case: UseCase, as_of: str, lake: Lake) -> bool:
    """Tell whether a training was refused with what it would be made from now."""
    if f"training.{as_of}" not in lake.table(use_case.name, _REFUSALS).partitions():
        return False
    wanted = wanted_training(use_case, lake, as_of)
    return states(use_case.name, "training", wanted, lake)[as_of].status == "refused"


def _state(
    use_case: str,
    stage: str,
    key: str,
    wanted: Sources,
    made: Mapping[str, int | None],
    refused: int | None,
) -> State:
    news = [source for source in wanted if (made[source] or ABSENT) != wanted[source]]
    if not news:
        return State("up to date", f"up to date: made from {_told(wanted)}")
    if refused == _digest(wanted):
        return State(
            "refused",
            f"refused before, and nothing has changed since: {stage} of {_told(wanted)}. "
            "Correct the input or the definition, or clear this task to try it once more",
        )
    made_by = made.get(DEFINITION)
    if news == [DEFINITION] and made_by is not None:
        return State(
            "out of date",
            f"out of date: its input is unchanged, but it was made by definition {made_by:016x}, "
            f"now {wanted[DEFINITION]:016x}. {remedy(use_case, stage, key, key)}",
            made_by,
        )
    return State("due", f"due: {', '.join(news)} changed, now {_told(wanted)}")


def _told(sources: Sources) -> str:
    return ", ".join(
        f"{source} {version:016x}" if version else f"{source} (absent)"
        for source, version in sources.items()
    )


def _digest(sources: Sources) -> int:
    return digest_63(json.dumps(dict(sources), sort_keys=True).encode())
