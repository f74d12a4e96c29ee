"""The overview as JSON: what each caller may see, over a real lake and Airflow's own tables.

The auth manager is a double; `tests/end_to_end/test_roles.py` asks a real API server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from airflow.api_fastapi.common.db.common import _get_session
from airflow.api_fastapi.core_api import security
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jwt import InvalidTokenError
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from include.errors import ConfigError, ServiceUnavailable
from include.lake.table import LakeTable
from include.use_cases.loader import Loaded
from plugins.hooks.lake import LakeHook
from plugins.pages import overview
from plugins.pages.runs import phase_states
from tests.support.monitored import World, make_world

START = datetime(2024, 3, 1, tzinfo=UTC)
MAY_READ = {"ann": {"tiny__feature", "tiny__deploy"}, "bob": set()}


class AuthManager:
    """Lets `ann` read two Dags of `tiny`, and `bob` none."""

    async def get_user_from_token(self, token: str) -> str:
        if token not in MAY_READ:
            raise InvalidTokenError
        return token

    def get_authorized_dag_ids(self, *, user: str, method: str) -> set[str]:
        assert method == "GET"
        return MAY_READ[user]


@pytest.fixture
def session() -> Iterator[Session]:
    """Give Airflow's tables, empty."""
    import_all_models()
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    with Session(engine) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = make_world(tmp_path)
    for month in ("2024-01", "2024-02", "2024-03"):
        rows = made.land(month, rows=40)
        made.publish("raw", month, rows, made.use_case.ingest.columns)
    monkeypatch.setattr(LakeHook, "lake", made.lake)
    monkeypatch.setenv("FLYWHEEL_VERIFY_KEY", str(made.registry.verify_key))
    monkeypatch.setattr(overview, "load_all", lambda only=None: Loaded({"tiny": made.use_case}, {}))
    monkeypatch.setattr(overview, "_looked", overview.Looked())
    return made


@pytest.fixture
def ask(
    session: Session, world: World, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., httpx.Response]:
    """Ask as a person."""
    double = AuthManager()
    monkeypatch.setattr(security, "get_auth_manager", lambda: double)
    monkeypatch.setattr(overview, "get_auth_manager", lambda: double)
    app = FastAPI()
    app.include_router(overview.router)
    app.dependency_overrides[_get_session] = lambda: session
    client = TestClient(app, raise_server_exceptions=False)

    def get(path: str, who: str | None = "ann", **query: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return client.get(path, headers=headers, params=query)

    return get


def run(session: Session, dag_id: str, number: int, state: str, key: str | None = None) -> DagRun:
    made = DagRun(dag_id=dag_id, run_id=f"run-{number}", run_type="manual", run_after=START)
    made.partition_key = key
    made.set_state(state)
    made.start_date = START + timedelta(hours=number)
    made.end_date = (
        made.start_date + timedelta(minutes=1) if state in ("success", "failed") else None
    )
    session.add(made)
    session.flush()
    return made


def test_each_sees_the_use_cases_whose_dags_they_may_read(ask) -> None:
    (seen,) = ask("/use-cases").json()
    assert seen["use_case"] == "tiny"
    assert seen["line"] == "no model serves yet; newest rows 2024-03"
    assert [one["partition"] for one in seen["card"]["partitions"]] == [
        "2024-01", "2024-02", "2024-03",
    ]  # fmt: skip
    assert [one["phase"] for one in seen["phases"]] == ["deploy", "feature"]
    assert ask("/use-cases", who="bob").json() == []
    assert ask("/use-cases", who=None).status_code == 401
    assert ask("/use-cases", who="mallory").status_code in (401, 403)


def test_partitions_come_in_pages(ask) -> None:
    def keys(**query: object) -> list[str]:
        return [one["partition"] for one in ask("/use-cases/tiny/partitions", **query).json()]

    assert keys() == ["2024-01", "2024-02", "2024-03"]
    assert keys(last=2) == ["2024-02", "2024-03"]
    assert keys(last=2, until="2024-02") == ["2024-01"]


@pytest.mark.parametrize(
    ("path", "who", "query", "status"),
    [
        ("/use-cases/tiny/partitions", "bob", {}, 404),
        ("/use-cases/nothing/partitions", "ann", {}, 404),
        ("/use-cases/tiny/partitions", None, {}, 401),
        ("/use-cases/tiny/partitions", "ann", {"last": 0}, 422),
        ("/use-cases/tiny/partitions", "ann", {"last": 501}, 422),
    ],
)
def test_who_may_not_gets_no_partitions(ask, path, who, query, status) -> None:
    assert ask(path, who, **query).status_code == status


def test_a_lake_that_does_not_answer_hides_nothing_of_airflow(ask, session, monkeypatch) -> None:
    run(session, "tiny__feature", 1, "failed", "2024-03")

    def down(self: LakeTable) -> None:
        raise ServiceUnavailable("the store does not answer")

    monkeypatch.setattr(LakeTable, "row_counts", down)

    (seen,) = ask("/use-cases").json()
    assert seen["card"] is None
    assert seen["problem"] == "the store does not answer"
    (feature,) = [one for one in seen["phases"] if one["phase"] == "feature"]
    assert (feature["state"], feature["partition"]) == ("failed", "2024-03")
    answer = ask("/use-cases/tiny/partitions")
    assert (answer.status_code, answer.json()) == (503, {"detail": "the store does not answer"})


def test_a_use_case_that_cannot_be_read_is_told(ask, world, monkeypatch) -> None:
    broken = Loaded({}, {"tiny": ConfigError("tiny/use_case.yaml: line 3: no")})
    monkeypatch.setattr(overview, "load_all", lambda only=None: broken)
    (seen,) = ask("/use-cases").json()
    assert seen["problem"] == "tiny/use_case.yaml: line 3: no"


def test_the_store_is_asked_once_for_all_who_look_within_a_moment(ask, monkeypatch) -> None:
    looks = []
    real = overview.cards_of
    monkeypatch.setattr(overview, "cards_of", lambda *a: looks.append(1) or real(*a))
    clock = [0.0]
    monkeypatch.setattr(overview.time, "monotonic", lambda: clock[0])
    for at, expected in ((100.0, 1), (104.9, 1), (105.1, 2)):
        clock[0] = at
        ask("/use-cases")
        assert len(looks) == expected, at


def test_a_look_that_takes_long_is_kept_longer(ask, monkeypatch) -> None:
    looks, clock = [], [0.0]
    real = overview.cards_of

    def slow(*given):
        looks.append(1)
        clock[0] += 4  # seconds
        return real(*given)

    monkeypatch.setattr(overview, "cards_of", slow)
    monkeypatch.setattr(overview.time, "monotonic", lambda: clock[0])
    for at, expected in ((100.0, 1), (143.9, 1), (144.1, 2)):
        clock[0] = at
        ask("/use-cases")
        assert len(looks) == expected, at


def test_the_newest_run_of_each_dag_counts(session: Session) -> None:
    run(session, "tiny__feature", 1, "failed", "2024-01")
    run(session, "tiny__feature", 2, "success", "2024-02")
    run(session, "tiny__deploy", 3, "running")
    run(session, "tiny__deploy", 4, "queued")
    run(session, "other__deploy", 5, "running")

    found = phase_states(session, ["tiny__feature", "tiny__deploy", "tiny__train_tune"])["tiny"]

    told = [(one.phase, one.state, one.partition, one.active) for one in found]
    assert told == [
        ("feature", "success", "2024-02", 0),
        ("deploy", "queued", None, 2),
        ("train_tune", None, None, 0),
    ]
    assert found[0].since == START + timedelta(hours=2, minutes=1)


def test_tasks_that_wait_for_a_person_are_counted(session: Session) -> None:
    made = run(session, "tiny__deploy", 1, "running")
    table = TaskInstance.__table__
    for number, state in enumerate(("awaiting_input", "awaiting_input", "running")):
        whose = {"dag_id": made.dag_id, "run_id": made.run_id, "task_id": f"task_{number}"}
        limits = {"pool": "deploy", "pool_slots": 1, "priority_weight": 1, "try_number": 1}
        session.execute(table.insert().values(id=uuid4(), state=state, **whose, **limits))
    (deploy,) = phase_states(session, ["tiny__deploy"])["tiny"]
    assert deploy.questions == 2
