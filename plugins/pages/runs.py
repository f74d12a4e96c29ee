"""What Airflow itself knows of a use case's Dags, from its database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import func, select
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class PhaseState:
    """One Dag of a use case.

    Attributes
    ----------
    phase, dag_id : str
        Which.
    state : str or None
        Of its newest run: `queued`, `running`, `success` or `failed`; None before the first.
    run_id, partition : str or None
        Of that run.
    since : datetime or None
        When it ended, or began, or was queued: whichever came last.
    active : int
        Runs that are queued or running.
    questions : int
        Tasks that wait for a person's answer.
    """

    phase: str
    dag_id: str
    state: str | None
    run_id: str | None
    partition: str | None
    since: datetime | None
    active: int
    questions: int


def phase_states(session: Session, dag_ids: Collection[str]) -> dict[str, list[PhaseState]]:
    """Look up the state of Dags that are named `<use case>__<phase>`.

    Returns
    -------
    dict of str to list of PhaseState
        By use case, in the order of `dag_ids`.
    """
    newest = select(func.max(DagRun.id)).where(DagRun.dag_id.in_(dag_ids)).group_by(DagRun.dag_id)
    runs = {run.dag_id: run for run in session.scalars(select(DagRun).where(DagRun.id.in_(newest)))}
    active = _counts(session, DagRun, dag_ids, (DagRunState.QUEUED, DagRunState.RUNNING))
    questions = _counts(session, TaskInstance, dag_ids, (TaskInstanceState.AWAITING_INPUT,))
    found: dict[str, list[PhaseState]] = {}
    for dag_id in dag_ids:
        use_case, _, phase = dag_id.partition("__")
        run = runs.get(dag_id)
        found.setdefault(use_case, []).append(
            PhaseState(
                phase=phase,
                dag_id=dag_id,
                state=None if run is None else str(run.state),
                run_id=None if run is None else run.run_id,
                partition=None if run is None else run.partition_key,
                since=None if run is None else run.end_date or run.start_date or run.queued_at,
                active=active.get(dag_id, 0),
                questions=questions.get(dag_id, 0),
            )
        )
    return found


def _counts(
    session: Session,
    of: type[DagRun | TaskInstance],
    dag_ids: Collection[str],
    states: Collection[str],
) -> dict[str, int]:
    """Count runs or tasks in these states, by Dag."""
    counted = select(of.dag_id, func.count()).where(of.dag_id.in_(dag_ids), of.state.in_(states))
    return {dag_id: count for dag_id, count in session.execute(counted.group_by(of.dag_id))}
