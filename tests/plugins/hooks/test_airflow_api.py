"""The hook against an HTTP server that answers as Airflow's REST API does."""

from __future__ import annotations

import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from include.errors import ConfigError, FlywheelError, ServiceUnavailable
from plugins.hooks.airflow_api import AirflowApiHook

PASSWORD = "s3cret/of:the@hook"
TOKEN = "token-of-the-hook"
DAG = "weather_regimes__feature"
GONE = 0
"""Instead of a status: the connection is closed without an answer."""


@dataclass
class Airflow:
    """What a small Airflow knows, and what it was asked."""

    url: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    assets: dict[str, int] = field(default_factory=dict)
    paused: bool = False
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, Any]:
        """Answer a request that carries the token."""
        self.asked.append((method, path, sent))
        if path in self.broken:
            return self.broken[path], {"detail": "the database is locked"}
        if method == "GET" and path == f"/api/v2/dags/{DAG}":
            return 200, {"dag_id": DAG, "is_paused": self.paused}
        if path == f"/api/v2/dags/{DAG}/dagRuns":
            return self._found(sent) if method == "GET" else self._start(sent)
        if path == "/ui/partitioned_dag_runs":
            return 200, {"partitioned_dag_runs": [{"partition_key": k} for k in self.pending]}
        if path == "/api/v2/assets":
            (pattern,) = sent["name_pattern"]
            found = [{"name": n, "id": i} for n, i in self.assets.items() if pattern in n]
            return 200, {"assets": found, "total_entries": len(found)}
        if (method, path) == ("POST", "/api/v2/assets/events"):
            return 200, {}
        if path in self.answers:
            return 200, self.answers[path]
        return 404, {"detail": f"no {path}"}

    def _found(self, query: dict[str, Any]) -> tuple[int, Any]:
        found = self.runs
        if states := query.get("state"):
            found = [run for run in found if run["state"] in states]
        if prefix := query.get("partition_key_prefix_pattern"):
            # As Airflow does: an empty pattern finds every run that has a key.
            has = [run for run in found if run["partition_key"] is not None]
            found = [run for run in has if run["partition_key"].startswith(prefix[0])]
        if query.get("order_by") == ["-run_after"]:
            found = list(reversed(found))
        first, most = int(query.get("offset", ["0"])[0]), int(query["limit"][0])
        return 200, {"dag_runs": found[first : first + most], "total_entries": len(found)}

    def _start(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["dag_run_id"] in [run.get("dag_run_id") for run in self.runs]:
            return 409, {"detail": "this run exists"}
        self.runs.append({**body, "state": "queued"})
        return 200, body


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    known = Airflow()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._do({name: value for name, value in parse_qs(self._url.query, True).items()})

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._do(json.loads(self.rfile.read(length)))

        @property
        def _url(self) -> Any:
            return urlsplit(self.path)

        def _do(self, sent: dict[str, Any]) -> None:
            path = self._url.path
            if path == "/auth/token":
                status = known.broken.get(path, 201)
                if sent != {"username": "hook", "password": PASSWORD}:
                    status = 401
                body: Any = {"access_token": TOKEN} if status == 201 else {"detail": sent}
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, body = 401, {"detail": "Not authenticated"}
            else:
                status, body = known.answer(self.command, path, sent)
            if status == GONE:
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    known.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    login(monkeypatch, server.server_port)
    yield known
    server.shutdown()
    server.server_close()


def login(monkeypatch: pytest.MonkeyPatch, port: int, password: str = PASSWORD) -> None:
    address = f"http://hook:{quote(password, safe='')}@127.0.0.1:{port}"
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_AIRFLOW", address)


def run(key: str | None, state: str, hour: int = 0) -> dict[str, Any]:
    return {"partition_key": key, "state": state, "run_after": f"2013-05-01T{hour:02}:00:00Z"}


ANSWER = f"/api/v2/dags/{DAG}/dagRuns/{{}}/taskInstances/ask/-1/hitlDetails"
QUESTIONS = f"/api/v2/dags/{DAG}/dagRuns/r"
CALLS = [
    pytest.param(lambda hook: hook.is_paused(DAG), f"/api/v2/dags/{DAG}", id="is_paused"),
    pytest.param(
        lambda hook: hook.active_keys(DAG), f"/api/v2/dags/{DAG}/dagRuns", id="active_keys"
    ),
    pytest.param(
        lambda hook: hook.failures_in_a_row(DAG),
        f"/api/v2/dags/{DAG}/dagRuns",
        id="failures_in_a_row",
    ),
    pytest.param(
        lambda hook: hook.create_event("a", "2013-01", {}), "/api/v2/assets/events", id="event"
    ),
    pytest.param(lambda hook: hook.answer_to(DAG, "r", "ask"), ANSWER.format("r"), id="answer_to"),
    pytest.param(
        lambda hook: hook.answers_of(DAG, "r", "ask"), f"{QUESTIONS}/taskInstances", id="answers_of"
    ),
    pytest.param(
        lambda hook: hook.start_run(DAG, "2013-01", "r"),
        f"/api/v2/dags/{DAG}/dagRuns",
        id="start_run",
    ),
]


def silent_about_the_password(error: FlywheelError) -> bool:
    told = "".join(traceback.format_exception(error))
    return PASSWORD not in told and quote(PASSWORD, safe="") not in told and TOKEN not in told


# What is asked


def test_an_answer_is_given_as_it_was_recorded_and_none_where_nothing_was_asked(airflow):
    recorded = {"responded_at": None, "chosen_options": None}
    airflow.answers[ANSWER.format("manual__2013-01-01T00%3A00%3A00%2B00%3A00")] = recorded

    assert AirflowApiHook().answer_to(DAG, "manual__2013-01-01T00:00:00+00:00", "ask") == recorded
    assert AirflowApiHook().answer_to(DAG, "manual__2", "ask") is None


def test_the_answers_of_a_mapped_task_are_those_of_all_its_tries(airflow):
    def told(index: int, number: int, chosen: str | None) -> dict[str, Any]:
        task = {"map_index": index, "try_number": number}
        return {"chosen_options": chosen and [chosen], "task_instance": task}

    # The first was cleared after it was answered; the second failed once before it asked; the
    # third failed for good.
    tries = {0: 2, 1: 2, 2: 1}
    tasks = [{"map_index": index, "try_number": last} for index, last in tries.items()]
    now = [told(1, 2, "3"), told(0, 2, None)]
    airflow.answers = {
        f"{QUESTIONS}/taskInstances": {"task_instances": tasks, "total_entries": 3},
        f"{QUESTIONS}/hitlDetails": {"hitl_details": now, "total_entries": 2},
        f"{QUESTIONS}/taskInstances/ask/0/hitlDetails/tries/1": told(0, 1, "7"),
    }
    found = AirflowApiHook().answers_of(DAG, "r", "ask")
    assert [(one["map_index"], one["try_number"], one["chosen_options"]) for one in found] == [
        (0, 1, ["7"]), (0, 2, None), (1, 2, ["3"]),
    ]  # fmt: skip
    asked = [sent for _, path, sent in airflow.asked if path.startswith(QUESTIONS)]
    assert asked[0]["task_id"] == asked[1]["task_id"] == ["ask"]


def test_paused_or_not(airflow):
    assert AirflowApiHook().is_paused(DAG) is False
    airflow.paused = True
    assert AirflowApiHook().is_paused(DAG) is True


def test_active_are_the_queued_the_running_and_the_pending(airflow):
    airflow.runs = [
        run("2013-01", "queued"),
        run("2013-02", "running"),
        run("2013-03", "success"),
        run("2013-04", "failed"),
        run(None, "running"),
    ]
    airflow.pending = ["2013-05"]
    assert AirflowApiHook().active_keys(DAG) == {"2013-01", "2013-02", "2013-05", ""}


def test_nothing_is_active(airflow):
    assert AirflowApiHook().active_keys(DAG) == set()


@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_active_runs_are_read_page_by_page(airflow, count):
    airflow.runs = [run(f"key {number}", "queued") for number in range(count)]
    assert AirflowApiHook().active_keys(DAG) == {f"key {number}" for number in range(count)}
    pages = [sent for _, path, sent in airflow.asked if path.endswith("/dagRuns")]
    assert [int(sent["offset"][0]) for sent in pages] == list(range(0, count, 100))


def test_reading_ends_when_runs_vanish_meanwhile(airflow):
    """Runs end between two pages: the total said more than can be had."""
    airflow.runs = [run(f"key {number}", "queued") for number in range(150)]
    real = airflow._found

    def found(query: dict[str, Any]) -> tuple[int, Any]:
        status, page = real(query)
        del airflow.runs[100:]
        return status, page

    airflow._found = found
    assert len(AirflowApiHook().active_keys(DAG)) == 100


@pytest.mark.parametrize(
    ("states", "count"),
    [
        ([], 0),
        (["success"], 0),
        (["failed"], 1),
        (["failed", "success"], 0),
        (["success", "failed", "failed"], 2),
        (["failed", "success", "failed"], 1),
        (["failed"] * 9, 9),
        (["failed", "failed", "running"], 2),
    ],
)
@pytest.mark.parametrize("key", ["2013-01", ""])
def test_failures_in_a_row_are_counted_from_the_newest(airflow, states, count, key):
    others = [run("2013-010", "failed", 20), run("x" if not key else None, "failed", 21)]
    own = [run(key or None, state, hour) for hour, state in enumerate(states)]
    airflow.runs = [others[0], *own, others[1]]
    found = AirflowApiHook().failures_in_a_row(DAG)
    assert found.pop("2013-010") == (1, datetime(2013, 5, 1, 20, tzinfo=UTC))
    assert found.pop("x" if not key else "") == (1, datetime(2013, 5, 1, 21, tzinfo=UTC))
    newest = max((hour for hour, state in enumerate(states) if state == "failed"), default=0)
    assert found == ({key: (count, datetime(2013, 5, 1, newest, tzinfo=UTC))} if count else {})


def test_failures_are_read_in_at_most_five_requests_however_many_runs_there_are(airflow):
    airflow.runs = [run(f"key {number}", "failed") for number in range(730)]
    found = AirflowApiHook().failures_in_a_row(DAG)
    assert set(found) == {f"key {number}" for number in range(230, 730)}, "the newest 500"
    assert len(airflow.asked) == 5


@pytest.mark.parametrize("answer", [(404, {"detail": "Not Found"}), (200, {"renamed": []})])
def test_without_airflows_private_list_the_public_one_is_used_and_it_is_said(
    airflow, answer, capsys
):
    airflow.runs, airflow.pending = [run("2013-01", "queued")], ["2013-05"]
    real = airflow.answer
    airflow.answer = lambda method, path, sent: (
        answer if path.startswith("/ui/") else real(method, path, sent)
    )
    assert AirflowApiHook().active_keys(DAG) == {"2013-01"}
    said = capsys.readouterr().out
    assert "does not tell pending partitions any more (GET /ui/partitioned_dag_runs" in said
    assert "an event may be sent twice, which does no harm" in said


def test_the_installed_airflow_has_the_private_list_as_it_is_read():
    """It is no part of Airflow's public API: an upgrade that takes it away must be noticed here."""
    from airflow.api_fastapi.common import parameters
    from airflow.api_fastapi.core_api.datamodels.ui import partitioned_dag_runs as answers
    from airflow.api_fastapi.core_api.routes.ui import ui_router

    routes = {getattr(route, "path", ""): route for route in ui_router.routes}
    route = routes["/ui/partitioned_dag_runs"]
    assert route.methods == {"GET"}
    asked = {one.alias for one in route.dependant.query_params} | {
        one.alias for of in route.dependant.dependencies for one in of.query_params
    }
    assert {"dag_id", "has_created_dag_run_id"} <= asked, parameters
    collection = answers.PartitionedDagRunCollectionResponse.model_fields
    assert "partitioned_dag_runs" in collection
    assert answers.PartitionedDagRunResponse.model_fields["partition_key"].annotation is str


def test_an_event_is_created_by_the_assets_id(airflow):
    airflow.assets = {"weather_regimes.raw_more": 3, "weather_regimes.raw": 7}
    hook = AirflowApiHook()
    hook.create_event("weather_regimes.raw", "2013-01", {"because": "lost"})
    hook.create_event("weather_regimes.raw", "", {})
    events = [sent for method, path, sent in airflow.asked if path == "/api/v2/assets/events"]
    assert events == [
        {"asset_id": 7, "extra": {"because": "lost"}, "partition_key": "2013-01"},
        {"asset_id": 7, "extra": {}},
    ], "an event of a phase without keys has none, not an empty one"
    looked = [path for _, path, _ in airflow.asked if path == "/api/v2/assets"]
    assert len(looked) == 1, "an id is asked for once"


def test_an_asset_that_is_not_registered_yet_is_worth_a_retry(airflow):
    airflow.assets = {"weather_regimes.raw_more": 3}
    with pytest.raises(
        ServiceUnavailable,
        match=rf"Airflow at {airflow.url} knows no asset 'weather_regimes.raw' yet.*try again",
    ):
        AirflowApiHook().create_event("weather_regimes.raw", "2013-01", {})


def test_a_run_is_started_once(airflow):
    hook = AirflowApiHook()
    assert hook.start_run(DAG, "2013-01", "rebuild__2013-01") is True
    assert hook.start_run(DAG, "2013-01", "rebuild__2013-01") is False, "409: it exists already"
    assert airflow.runs == [
        {
            "dag_run_id": "rebuild__2013-01",
            "logical_date": None,
            "partition_key": "2013-01",
            "state": "queued",
        }
    ]


def test_a_run_of_a_dag_without_keys_is_started_with_its_form(airflow):
    assert AirflowApiHook().start_run(DAG, "", "rebuild__2013-01", {"partition": "2013-01"})
    (started,) = airflow.runs
    assert started == {
        "dag_run_id": "rebuild__2013-01",
        "logical_date": None,
        "conf": {"partition": "2013-01"},
        "state": "queued",
    }


def test_a_conflict_elsewhere_is_no_success(airflow):
    airflow.assets, airflow.broken = {"a": 1}, {"/api/v2/assets/events": 409}
    with pytest.raises(ServiceUnavailable, match="POST /api/v2/assets/events answers 409"):
        AirflowApiHook().create_event("a", "2013-01", {})


# What goes wrong


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("call", "path"), CALLS)
def test_a_login_that_may_not_is_an_error_of_the_configuration(
    airflow, call: Callable[[AirflowApiHook], Any], path, status
):
    airflow.assets, airflow.broken = {"a": 1}, {path: status}
    with pytest.raises(
        ConfigError,
        match=rf"Airflow at {airflow.url}: (GET|POST) {path} answers {status}: .*database is locked"
        r".*Give the login of the Airflow connection 'flywheel_airflow' the role `op`, on a cluster"
        r" the role `housekeeping`\.",
    ) as caught:
        call(AirflowApiHook())
    assert silent_about_the_password(caught.value)


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize(("call", "path"), CALLS)
def test_a_server_in_trouble_is_worth_a_retry(airflow, call, path, status):
    airflow.assets, airflow.broken = {"a": 1}, {path: status}
    with pytest.raises(
        ServiceUnavailable,
        match=rf"{path} answers {status}: .*the database is locked.*Look at the log",
    ) as caught:
        call(AirflowApiHook())
    assert silent_about_the_password(caught.value)


def test_a_wrong_password_is_an_error_of_the_configuration_and_is_not_shown(airflow, monkeypatch):
    login(monkeypatch, int(airflow.url.rpartition(":")[2]), password="wr0ng-one")
    with pytest.raises(
        ConfigError,
        match=rf"Airflow at {airflow.url} refuses the login of the Airflow connection "
        r"'flywheel_airflow' \(HTTP 401\)\. Correct it\.",
    ) as caught:
        AirflowApiHook().is_paused(DAG)
    assert "wr0ng-one" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_cannot_log_in_now_is_worth_a_retry(airflow, status):
    airflow.broken = {"/auth/token": status}
    with pytest.raises(ServiceUnavailable, match=f"/auth/token answers {status}") as caught:
        AirflowApiHook().is_paused(DAG)
    assert silent_about_the_password(caught.value)


def test_nobody_listens(monkeypatch):
    with socket.socket() as taken:  # bound, not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        login(monkeypatch, port)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(
            ServiceUnavailable,
            match=rf"REST API at http://127.0.0.1:{port} does not answer \(ConnectError\)\. Start "
            r"it, or correct the Airflow connection 'flywheel_airflow'\.",
        ) as caught:
            AirflowApiHook().active_keys(DAG)
    assert silent_about_the_password(caught.value)


def test_a_server_that_goes_away_after_the_login(airflow):
    hook = AirflowApiHook()
    hook.is_paused(DAG)
    airflow.broken = {f"/api/v2/dags/{DAG}": GONE}
    with pytest.raises(ServiceUnavailable, match="does not answer") as caught:
        hook.is_paused(DAG)
    assert silent_about_the_password(caught.value)


def test_the_login_is_sent_once(airflow):
    hook = AirflowApiHook()
    for _ in range(3):
        hook.is_paused(DAG)
    assert len(airflow.asked) == 3, "the token is kept; a login is not among them"


def test_it_asks_the_connection_it_was_given(airflow, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", f"{airflow.url}".replace("//", "//hook:x@"))
    with pytest.raises(ConfigError, match="connection 'other'"):
        AirflowApiHook("other").is_paused(DAG)
