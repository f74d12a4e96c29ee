"""The overview as JSON: what the page shows, and what a program may ask for.

Each caller sees the use cases whose Dags they may read. Facts of the lake are at most `FRESH_S`
old: a page that many people leave open asks the store no more often.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Query

from include.errors import FlywheelError, ServiceUnavailable
from include.overview.card import SHOWN, Card
from include.overview.cards import cards_of
from include.overview.partitions import PartitionOverview, partitions_of
from include.overview.words import line
from include.registry.ledger import Ledger
from include.use_cases.loader import load_all
from include.use_cases.schema import UseCase
from plugins.hooks.lake import LakeHook
from plugins.hooks.mlflow import MlflowHook
from plugins.pages.runs import PhaseState, phase_states

FRESH_S = 5.0
"""Our choice: a task takes about as long, so older facts could miss one."""
SHARE = 0.1
"""Share of the time that looking may take: 50 use cases of 500 partitions take seconds."""
MOST_PARTITIONS = 500
"""Partitions of one answer: a year and a half of days."""

router = APIRouter()


def readable_dags(user: GetUserDep) -> set[str]:
    """Return the Dags that the caller may read; 401 without a login."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


ReadableDags = Annotated[set[str], Depends(readable_dags)]


@dataclass(frozen=True)
class Seen:
    """One use case, as its reader may see it.

    `card` is None, and `problem` says why, where the lake's facts cannot be read: what Airflow
    knows is shown all the same.
    """

    use_case: str
    line: str
    card: Card | None
    problem: str | None
    phases: list[PhaseState]


class Looked:
    """What was last seen of the use cases, kept for `FRESH_S`, or longer where a look is long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._cards: dict[str, Card | FlywheelError] = {}

    def cards(self) -> dict[str, Card | FlywheelError]:
        """Give each use case's card, or why it cannot be read; callers at once share one look."""
        with self._lock:
            began = time.monotonic()
            if began > self._until:
                loaded, hook = load_all(), LakeHook()
                seen = cards_of(loaded.use_cases.values(), hook.lake, hook.settings.verify_key)
                self._cards = {**loaded.broken, **seen}
                ended = time.monotonic()
                self._until = ended + max(FRESH_S, (ended - began) / SHARE)
            return self._cards


_looked = Looked()


@router.get("/use-cases")
def use_cases(session: SessionDep, readable: ReadableDags) -> list[Seen]:
    """Give a card of each use case, with the state of its Dags."""
    states = phase_states(session, sorted(readable))
    with told():
        cards = sorted(_looked.cards().items())
    return [_seen(name, card, states[name]) for name, card in cards if name in states]


@router.get("/use-cases/{name}/partitions")
def partitions(
    name: str,
    readable: ReadableDags,
    last: Annotated[int, Query(ge=1, le=MOST_PARTITIONS)] = SHOWN,
    until: str | None = None,
) -> list[PartitionOverview]:
    """Give what became of a use case's partitions: the `last` ones before the key `until`."""
    with told():
        return partitions_of(found(name, readable), LakeHook().lake, last, until)


@router.get("/use-cases/{name}/partitions/{partition}/lineage")
def lineage_of_partition(name: str, partition: str, readable: ReadableDags) -> Any:
    """Give what a partition was made from, by which tasks, and which models learned from it."""
    from include.lineage.trace import partition_lineage  # MLflow's client takes seconds to import

    with told():
        asked, registry = found(name, readable), MlflowHook().registry
        return partition_lineage(asked.name, partition, LakeHook().lake, registry)


@router.get("/use-cases/{name}/models/{version}/lineage")
def lineage_of_model(name: str, version: str, readable: ReadableDags) -> Any:
    """Give what a model version learned from, back to the files that landed."""
    from include.lineage.trace import model_lineage  # as above

    with told():
        asked, registry, hook = found(name, readable), MlflowHook().registry, LakeHook()
        ledger = Ledger(hook.lake, asked.name, hook.settings.verify_key)
        return model_lineage(asked.name, version, hook.lake, registry, ledger)


@router.get("/addresses")
def addresses(_: ReadableDags) -> dict[str, str]:
    """Give the addresses of what the page links to: MLflow."""
    return {"mlflow": MlflowHook().tracking_uri}


def found(name: str, readable: set[str]) -> UseCase:
    """Return a use case of which the caller may read some Dag; 404 for any other."""
    use_case = load_all(only=name).use_cases.get(name)
    if use_case is None or not any(one.startswith(f"{name}__") for one in readable):
        raise HTTPException(404, f"There is no use case {name} whose Dags you may read.")
    return use_case


@contextmanager
def told() -> Iterator[None]:
    """Answer with the words of our own errors: 503 where another try may help, else 409."""
    try:
        yield
    except FlywheelError as error:
        code = 503 if isinstance(error, ServiceUnavailable) else 409
        raise HTTPException(code, str(error)) from error


def _seen(name: str, card: Card | FlywheelError, phases: list[PhaseState]) -> Seen:
    if isinstance(card, FlywheelError):
        return Seen(name, line(card), None, str(card), phases)
    return Seen(name, line(card), card, None, phases)
