import importlib.util
import json
from pathlib import Path

import pytest
from airflow.providers.openlineage.get_provider_info import get_provider_info
from ruamel.yaml import YAML
from sqlalchemy.engine import make_url

from scripts.stack import secret_files
from scripts.stack.environment import airflow_environment, base_environment
from scripts.stack.settings import MARKER, REPO


@pytest.fixture(scope="module")
def airflow_options():
    """Every option the installed Airflow knows, as (section, option)."""
    package = Path(importlib.util.find_spec("airflow").origin).parent
    config = YAML(typ="safe", pure=True).load(
        (package / "config_templates" / "config.yml").read_text()
    )
    return {
        (section, option): facts["default"]
        for section, content in (config | get_provider_info()["config"]).items()
        for option, facts in content["options"].items()
    }


def options_of(environment):
    for variable, value in environment.items():
        if variable.startswith("AIRFLOW__"):
            _, section, option = variable.split("__")
            yield (section.lower(), option.lower()), value


def test_airflow_knows_every_option_that_is_set(settings, airflow_options):
    unknown = [
        key for key, _ in options_of(airflow_environment(settings)) if key not in airflow_options
    ]

    assert unknown == [], "Airflow ignores these silently: correct the name in environment.py"


def test_all_state_and_addresses_are_this_stacks(settings):
    options = dict(options_of(airflow_environment(settings)))

    database = make_url(options["database", "sql_alchemy_conn"])
    assert database.drivername == "sqlite"
    assert database.database == f"{settings.home}/airflow/airflow.db"
    assert options["api", "host"] == "127.0.0.1"
    assert options["api", "port"] == str(settings.airflow_port)
    assert options["core", "execution_api_server_url"] == f"{settings.airflow_url}/execution/"
    assert options["logging", "worker_log_server_port"] == str(settings.log_port)
    assert options["core", "dags_folder"] == str(REPO / "dags")


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])  # Airflow opens it with both
def test_a_writer_waits_a_minute_for_sqlites_lock(settings, driver):
    options = dict(options_of(airflow_environment(settings)))
    database = make_url(options["database", "sql_alchemy_conn"]).set(drivername=driver)

    _, arguments = database.get_dialect()().create_connect_args(database)

    assert arguments["timeout"] == 60


def test_a_stray_address_of_the_callers_does_not_join_two_stacks(settings):
    stray = {"MLFLOW_TRACKING_URI": "http://elsewhere:5000", "FLYWHEEL_MLFLOW_PORT": "5000"}

    environment = base_environment(settings, stray)

    assert environment["MLFLOW_TRACKING_URI"] == settings.mlflow_url
    assert environment["FLYWHEEL_MLFLOW_PORT"] == str(settings.mlflow_port)
    assert environment[MARKER] == str(settings.home)


def test_where_the_caller_keeps_the_lake_stays(settings):
    environment = base_environment(settings, {"FLYWHEEL_LAKE_URI": "s3://lake"})

    assert environment["FLYWHEEL_LAKE_URI"] == "s3://lake"


def test_a_proxy_does_not_see_the_stacks_own_requests(settings):
    environment = base_environment(settings, {"NO_PROXY": "intranet,localhost"})

    assert environment["NO_PROXY"] == "intranet,localhost,127.0.0.1"
    assert environment["no_proxy"] == "127.0.0.1,localhost"


def test_parts_other_than_airflows_are_given_no_secret(settings):
    values = " ".join(base_environment(settings, {}).values())

    for name in ("jwt_secret", "api_secret_key", "fernet_key"):
        assert secret_files.read(settings, name) not in values
    assert secret_files.airflow_password(settings) not in values


def test_airflow_reads_the_connections(settings):
    from airflow.sdk import Connection

    written = airflow_environment(settings)["AIRFLOW_CONN_FLYWHEEL_MLFLOW"]

    connection = Connection.from_json(written, conn_id="flywheel_mlflow")

    assert (connection.conn_type, connection.host) == ("http", "127.0.0.1")
    assert connection.port == settings.mlflow_port
    assert connection.login == "pipeline"
    assert connection.password == secret_files.mlflow_password(settings, "pipeline")


def test_a_login_of_the_callers_is_not_used(settings):
    stray = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_TOKEN": "t"}

    environment = base_environment(settings, stray)

    assert not stray.keys() & environment.keys()


# Lineage events


def openlineage_of(settings, **env):
    options = dict(options_of(airflow_environment(settings, env)))
    return {name: value for (section, name), value in options.items() if section == "openlineage"}


def test_lineage_events_go_to_a_file_of_the_home(settings):
    options = openlineage_of(settings)

    assert json.loads(options["transport"]) == {
        "type": "include.lineage.event_file.EventFile",
        "path": f"{settings.home}/openlineage/events.jsonl",
    }
    assert options["execute_in_thread"] == "True", "a fork would make deltalake panic"


@pytest.mark.parametrize(
    "where",
    [
        {"OPENLINEAGE_URL": "http://marquez:5000", "OPENLINEAGE_API_KEY": "s3cret"},
        {"OPENLINEAGE_CONFIG": "/etc/openlineage.yml"},
        {"OPENLINEAGE__TRANSPORT__TYPE": "console"},
    ],
)
def test_the_callers_endpoint_is_left_to_the_provider_and_its_key_is_copied_nowhere(
    settings, where
):
    assert "transport" not in openlineage_of(settings, **where)
    assert "s3cret" not in json.dumps(airflow_environment(settings, where))
    base = base_environment(settings, where)
    assert {name: base[name] for name in where} == where, "each task reads it from there"


def test_an_endpoint_that_is_set_but_empty_is_none(settings):
    assert "transport" in openlineage_of(settings, OPENLINEAGE_URL="")


def test_a_lost_worker_is_noticed_within_a_minute(settings):
    variables = airflow_environment(settings)
    assert variables["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"] == "60"


def test_logs_and_metrics_are_as_a_person_chose(settings):
    names = {"AIRFLOW__LOGGING__JSON_LOGS", "AIRFLOW__METRICS__STATSD_ON"}
    assert not names & airflow_environment(settings).keys(), "neither by default"

    chosen = settings.model_copy(
        update={"log_format": "json", "statsd_host": "metrics", "statsd_port": 9}
    )
    found = airflow_environment(chosen)
    assert found["AIRFLOW__LOGGING__JSON_LOGS"] == "True"
    assert found["AIRFLOW__LOGGING__NAMESPACE_LEVELS"], "the other options of logs stay"
    assert found["AIRFLOW__METRICS__STATSD_HOST"] == "metrics"
    assert found["AIRFLOW__METRICS__STATSD_PORT"] == "9"
    assert base_environment(chosen)["FLYWHEEL_LOG_FORMAT"] == "json"
