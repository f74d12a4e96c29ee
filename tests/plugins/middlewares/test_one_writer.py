"""The middleware before small applications that write as Airflow's API server does."""

import asyncio
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import httpx
import pytest
from airflow import settings
from fastapi import Depends, FastAPI

from plugins.middlewares.one_writer import OneWriter

GIVES_UP_AFTER = 1.0  # seconds that a writer waits for SQLite's lock


@pytest.fixture
def airflow_like(tmp_path):
    """Write as Airflow's API server does, in two ways: on the event loop, and in a thread."""
    path = tmp_path / "airflow.db"

    @contextmanager
    def connect():
        with closing(sqlite3.connect(path, GIVES_UP_AFTER, check_same_thread=False)) as database:
            yield database
            database.commit()

    with connect() as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE log (what TEXT)")
    app, holds = FastAPI(), threading.Event()

    async def log_action():
        with connect() as database:
            database.execute("INSERT INTO log VALUES ('action')")

    def session():
        with connect() as database:
            yield database

    @app.patch("/state")
    def state(database: sqlite3.Connection = Depends(session)):  # noqa: B008 - FastAPI's form
        database.execute("INSERT INTO log VALUES ('state')")
        holds.set()
        time.sleep(0.2)  # what is left of the request; then the event loop has it committed

    @app.post("/trigger", dependencies=[Depends(log_action)])
    def trigger():
        return {}

    async def write_both():
        """Return both status codes; the second request comes while the first holds the lock."""
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            first = asyncio.create_task(client.patch("/state"))
            await asyncio.to_thread(holds.wait)
            return [(await client.post("/trigger")).status_code, (await first).status_code]

    def rows():
        with connect() as database:
            return sorted(what for (what,) in database.execute("SELECT what FROM log"))

    return app, write_both, rows


def test_without_it_the_event_loop_waits_for_a_lock_that_only_it_can_release(airflow_like):
    _, write_both, rows = airflow_like

    assert asyncio.run(write_both()) == [500, 200]
    assert rows() == ["state"]


def test_with_it_both_writes_succeed(airflow_like, monkeypatch):
    monkeypatch.setattr(settings, "SQL_ALCHEMY_CONN", "sqlite:////anywhere/airflow.db")
    app, write_both, rows = airflow_like
    app.add_middleware(OneWriter)

    assert asyncio.run(write_both()) == [200, 200]
    assert rows() == ["action", "state"]


class Recorder:
    """An ASGI application that counts how many requests it serves at once."""

    def __init__(self):
        self.now = self.most = 0
        self.bodies = []

    async def __call__(self, scope, receive, send):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        if scope["type"] == "http":
            body = b""
            while (message := await receive()).get("more_body"):
                body += message["body"]
            self.bodies.append(body + message["body"])
        self.now -= 1


async def request(app, method="POST", chunks=(b"",), kind="http"):
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, 1)
    ]

    async def receive():
        return messages.pop(0)

    await app({"type": kind, "method": method, "path": "/"}, receive, None)


def at_once(database, monkeypatch, **how):
    """Send five requests together; return how many of them were served at once."""
    monkeypatch.setattr(settings, "SQL_ALCHEMY_CONN", database)
    inner = Recorder()

    async def send_all():
        outer = OneWriter(inner)
        await asyncio.gather(*(request(outer, **how) for _ in range(5)))

    asyncio.run(send_all())
    return inner.most


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_writing_requests_take_turns_on_sqlite_only(method, monkeypatch):
    assert at_once("sqlite:////x.db", monkeypatch, method=method) == 1
    assert at_once("postgresql://host/db", monkeypatch, method=method) == 5


@pytest.mark.parametrize("how", [{"method": "GET"}, {"method": "HEAD"}, {"kind": "lifespan"}])
def test_what_does_not_write_waits_for_nobody(how, monkeypatch):
    assert at_once("sqlite:////x.db", monkeypatch, **how) == 5


def test_a_body_in_pieces_arrives_whole(monkeypatch):
    monkeypatch.setattr(settings, "SQL_ALCHEMY_CONN", "sqlite:////x.db")
    inner = Recorder()

    asyncio.run(request(OneWriter(inner), chunks=(b"par", b"ti", b"tion")))

    assert inner.bodies == [b"partition"]


def test_a_client_that_stops_in_the_middle_of_its_body_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(settings, "SQL_ALCHEMY_CONN", "sqlite:////x.db")
    inner = Recorder()

    async def never():
        await asyncio.Event().wait()

    async def run():
        outer = OneWriter(inner)
        stuck = asyncio.create_task(outer({"type": "http", "method": "POST"}, never, None))
        await asyncio.sleep(0)
        await asyncio.wait_for(request(outer), 5)
        stuck.cancel()

    asyncio.run(run())

    assert inner.bodies == [b""]


def test_a_failing_request_leaves_the_turn_to_the_next(monkeypatch):
    monkeypatch.setattr(settings, "SQL_ALCHEMY_CONN", "sqlite:////x.db")
    served = []

    async def inner(scope, receive, send):
        served.append(scope["path"])
        raise ValueError("broken")

    async def run():
        outer = OneWriter(inner)
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await asyncio.wait_for(request(outer), 5)

    asyncio.run(run())

    assert served == ["/", "/"]


def test_airflow_finds_it():
    from airflow.plugins_manager import get_fastapi_plugins

    _, middlewares = get_fastapi_plugins()

    assert [m["middleware"] for m in middlewares] == [OneWriter]
