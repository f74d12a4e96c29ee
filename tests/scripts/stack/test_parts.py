import json
import os
import socket
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.stack import secret_files
from scripts.stack.parts import HEALTHY, NAMES, PORTS, foreign_listeners, health, parts
from scripts.stack.settings import HOST

NO_PROCESS = 2**31 - 1
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def report(**changes):
    """Return what Airflow answers when all is well, with some components replaced."""
    alive = {"status": "healthy"}
    beat = NOON.isoformat()
    return {
        "metadatabase": alive,
        "scheduler": {**alive, "latest_scheduler_heartbeat": beat},
        "triggerer": {**alive, "latest_triggerer_heartbeat": beat},
        "dag_processor": {**alive, "latest_dag_processor_heartbeat": beat},
        **changes,
    }


@contextmanager
def server(status, body):
    """Answer every request alike; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http.server_port
        http.shutdown()


@contextmanager
def all_served(settings, airflow, others=200):
    with server(200, airflow) as one, server(others, {}) as other:
        ports = {"mlflow_port": other, "serving_port": other, "log_port": other}
        yield settings.model_copy(update={"airflow_port": one, **ports})


def test_all_parts_are_healthy_when_all_say_so(settings):
    with all_served(settings, report()) as served:
        assert health(served, {}) == dict.fromkeys(NAMES, HEALTHY)


def test_a_heartbeat_from_before_the_start_is_not_believed(settings):
    started = {"scheduler": NOON.timestamp() + 1, "triggerer": NOON.timestamp() - 1}

    with all_served(settings, report()) as served:
        answers = health(served, started)

    assert answers["scheduler"] == "has sent no heartbeat since it was started"
    assert answers["triggerer"] == HEALTHY


@pytest.mark.parametrize("status", ["unhealthy", None])
def test_airflow_answers_200_for_a_dead_component_and_is_read_all_the_same(settings, status):
    dead = {"status": status, "latest_dag_processor_heartbeat": None}

    with all_served(settings, report(dag_processor=dead)) as served:
        answers = health(served, {})

    assert answers["dag-processor"] == "sends no heartbeat"
    assert answers["api-server"] == HEALTHY


def test_a_broken_database_is_the_api_servers_illness(settings):
    with all_served(settings, report(metadatabase={"status": "unhealthy"})) as served:
        assert health(served, {})["api-server"] == "its database is unhealthy"


@pytest.mark.parametrize("body", [{}, [], "hello", {"metadatabase": None}, report(scheduler=[])])
def test_another_programs_json_on_airflows_port_is_not_healthy(settings, body):
    with all_served(settings, body) as served:
        answers = health(served, {})

    assert answers["api-server"].startswith("does not answer as Airflow does at http://127.0.0.1:")
    assert answers["scheduler"] == "unknown: the api-server does not say"
    assert answers["mlflow"] == HEALTHY


def test_an_error_answer_is_not_healthy(settings):
    with all_served(settings, report(), others=503) as served:
        answers = health(served, {})

    assert answers["serving"] == f"answers 503 at {served.serving_url}/health"


def test_what_does_not_listen_does_not_answer(settings):
    answers = health(settings, {})

    for name in ("api-server", "log-server", "mlflow", "serving"):
        assert answers[name].startswith("does not answer (")
    assert answers["scheduler"] == "unknown: the api-server does not say"


def test_each_part_that_listens_is_compared_with_who_has_its_port(settings):
    """Here this process has all ports: it is mlflow, and a stranger to the others."""
    with ExitStack() as listeners:
        for port in settings.ports.values():
            listeners.enter_context(socket.create_server((HOST, port)))
        found = foreign_listeners(settings, {"mlflow": os.getpid(), "serving": NO_PROCESS})

    components = {"scheduler", "dag-processor", "triggerer"}
    assert set(found) == (set(PORTS) - {"mlflow"}) | components
    assert {found[name] for name in components} == {"unknown: the api-server does not say"}
    words = f"its port {settings.serving_port} is held by process {os.getpid()} ("
    assert found["serving"].startswith(words)
    assert found["serving"].endswith("), which is not this part: stop that process")


def test_a_stack_has_the_parts_it_is_asked_about(settings):
    assert tuple(part.name for part in parts(settings)) == NAMES


def test_only_airflows_parts_know_its_secrets(settings):
    knowing = {p.name for p in parts(settings) if "AIRFLOW__API_AUTH__JWT_SECRET" in p.environment}

    assert knowing == {"api-server", "scheduler", "dag-processor", "triggerer", "log-server"}


def test_each_part_knows_its_own_secrets_of_mlflow_only(settings):
    """Serving can read models, and cannot move an alias."""
    passwords = {
        user: secret_files.mlflow_password(settings, user)
        for user in ("admin", "pipeline", "serving")
    }
    known = {
        part.name: {u for u, p in passwords.items() if p in " ".join(part.environment.values())}
        for part in parts(settings)
    }

    assert known.pop("mlflow") == {"admin", "pipeline", "serving"}
    assert known.pop("serving") == {"serving"}
    assert set(map(frozenset, known.values())) == {frozenset({"pipeline"})}


def test_no_secret_stands_on_a_command_line(settings):
    lines = " ".join(" ".join(part.command) for part in parts(settings))

    assert [f.name for f in settings.secrets.iterdir() if f.read_text().strip() in lines] == []


def test_airflows_own_log_servers_which_listen_everywhere_are_off(settings):
    commands = {part.name: part.command for part in parts(settings)}

    assert "--skip-serve-logs" in commands["scheduler"]
    assert "--skip-serve-logs" in commands["triggerer"]
    assert commands["log-server"][3:5] == ("--host", "127.0.0.1")
