"""What each part is told: its own secrets, and nothing of the caller's shell."""

import base64
import json

import pytest
from airflow.configuration import conf

from include.errors import SettingsError
from include.settings import Settings
from plugins.phases import PHASES, TRAIN, TRUSTED
from scripts.cluster.environment import (
    AUTH_MANAGER,
    NEEDS,
    QUEUES,
    command,
    environment,
    files,
    own_variables,
)
from scripts.cluster.settings import MADE, ClusterSettings

WORKERS = ("worker", "trusted")


def known(settings, found):
    """Name the secrets whose value stands in an environment."""
    text = "\n".join(found.values())
    return {field for field in MADE if settings.secret(field) in text}


@pytest.mark.parametrize("role", NEEDS)
def test_a_role_gets_the_secrets_that_it_needs_and_no_others(settings, tmp_path, role):
    # The first job reads these from the cluster's own settings.
    own = {"postgres_password", "mlflow_database_password", "admin_password"}
    own |= {"housekeeping_password"}
    before = own if role == "init" else set()
    by_files = {"signing_key_base64"} if role == "trusted" else set()

    assert known(settings, environment(role, settings, tmp_path)) == (
        set(NEEDS[role]) - before - by_files
    )
    text = b"\n".join(files(role, settings).values()).decode()
    in_files = {
        field
        for field in MADE
        if settings.secret(field) in text or _decoded(settings.secret(field)) in text
    }
    assert in_files == by_files


def test_the_first_job_reads_the_file_of_settings_without_the_secrets_of_others(settings):
    file = {ClusterSettings.variable(field): settings.secret(field) for field in MADE}
    file["FLYWHEEL_LAKE_URI"] = "s3://flywheel/lake"

    found = own_variables("init", file)

    assert known(settings, found) == set(NEEDS["init"])
    assert found["FLYWHEEL_LAKE_URI"] == "s3://flywheel/lake"
    assert "FLYWHEEL_SIGNING_KEY_BASE64" not in found


def test_how_much_runs_at_once_is_a_setting(settings, tmp_path):
    more = settings.model_copy(update={"parallelism": 64})

    assert environment("scheduler", settings, tmp_path)["AIRFLOW__CORE__PARALLELISM"] == "32"
    assert environment("scheduler", more, tmp_path)["AIRFLOW__CORE__PARALLELISM"] == "64"


@pytest.mark.parametrize(
    ("field", "role", "variable", "default"),
    [
        ("serving_poll_s", "serving", "FLYWHEEL_SERVING_POLL_S", "2.0"),
        ("dag_parse_interval_s", "dag-processor",
         "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL", "30"),
    ],
)  # fmt: skip
def test_how_often_parts_look_is_a_setting(settings, tmp_path, field, role, variable, default):
    rarely = settings.model_copy(update={field: 60})

    assert environment(role, settings, tmp_path)[variable] == default
    assert environment(role, rarely, tmp_path)[variable] == "60"


def _decoded(secret):
    """Return what a secret in base64 stands for; other secrets as they are."""
    try:
        return base64.b64decode(secret, validate=True).decode()
    except ValueError:
        return secret


def test_every_role_verifies_and_the_trusted_worker_signs(settings, tmp_path):
    for role in NEEDS:
        found = files(role, settings)
        library = Settings.from_env(environment(role, settings, tmp_path))

        assert found.keys() >= {library.verify_key.name}
        assert library.verify_key.parent == tmp_path
        assert (library.signing_key.parent == tmp_path) == (role == "trusted")
        assert ("signing.pem" in found) == (role == "trusted")


@pytest.mark.parametrize("role", WORKERS)
def test_a_worker_reaches_airflow_through_its_api_only(settings, tmp_path, role):
    found = environment(role, settings, tmp_path)

    assert not any("postgres" in value for value in found.values())
    assert "AIRFLOW__API_AUTH__JWT_SECRET" not in found
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8080/execution/"


def test_tasks_and_their_waits_reach_label_studio_where_it_is(settings, tmp_path):
    elsewhere = settings.model_copy(update={"label_studio_url": "https://labels.example.com"})
    token = settings.secret("label_studio_token")
    for role in (*WORKERS, "triggerer"):
        found = environment(role, elsewhere, tmp_path)["AIRFLOW_CONN_LABEL_STUDIO"]
        assert json.loads(found) == {
            "conn_type": "http", "host": "https://labels.example.com", "password": token
        }  # fmt: skip
        here = environment(role, settings, tmp_path)["AIRFLOW_CONN_LABEL_STUDIO"]
        assert json.loads(here)["host"] == f"http://127.0.0.1:{settings.labelling_port}"


@pytest.mark.parametrize("role", NEEDS)
def test_a_missing_secret_is_named_before_anything_starts(tmp_path, role):
    for field in NEEDS[role]:
        every = {name: make() for name, make in MADE.items() if name != field}
        settings = ClusterSettings(cluster_home=tmp_path, **every)

        with pytest.raises(SettingsError, match=ClusterSettings.variable(field)):
            environment(role, settings, tmp_path)


def test_the_library_finds_lake_and_landing_in_the_object_store(settings, tmp_path):
    library = Settings.from_env(environment("worker", settings, tmp_path))

    assert library.lake_uri == "s3://flywheel/lake"
    assert library.landing_uri == "s3://flywheel/landing"
    assert library.home == tmp_path
    options = library.storage_options()
    assert options["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9000"
    assert options["AWS_ALLOW_HTTP"] == "true"
    assert options["AWS_SECRET_ACCESS_KEY"] == settings.secret("aws_secret_access_key")


def test_over_tls_plain_http_is_not_allowed(tmp_path):
    settings = ClusterSettings.with_secrets(aws_endpoint_url="https://s3.example.com")

    assert environment("worker", settings, tmp_path)["AWS_ALLOW_HTTP"] == "false"


def test_nothing_of_the_callers_shell_reaches_a_part(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv("SOMETHING_SECRET", "x")

    found = environment("scheduler", settings, tmp_path)

    assert found["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert "SOMETHING_SECRET" not in found


def test_a_task_is_not_handed_out_again_while_the_longest_may_still_run(settings, tmp_path):
    found = environment("worker", settings, tmp_path)
    longest = max(phase.task_timeout.total_seconds() for phase in PHASES.values())
    timeout = found["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
    assert int(timeout) > longest


def test_a_task_that_did_not_begin_is_sent_again_within_a_minute_and_never_given_up(
    settings, tmp_path
):
    found = environment("scheduler", settings, tmp_path)
    prefix = "AIRFLOW__SCHEDULER__"
    timeout = float(found[f"{prefix}TASK_QUEUED_TIMEOUT"])
    interval = float(found[f"{prefix}TASK_QUEUED_TIMEOUT_CHECK_INTERVAL"])

    assert timeout == 60
    # Airflow accepts a token for so long after its end; the token's life is the time-out.
    assert interval < conf.getint("api_auth", "jwt_leeway")
    trials = PHASES["train_tune"]
    waits = trials.slots * trials.task_timeout.total_seconds() / timeout
    assert int(found[f"{prefix}NUM_STUCK_IN_QUEUED_RETRIES"]) > waits
    assert found[f"{prefix}TASK_INSTANCE_HEARTBEAT_TIMEOUT"] == "60"  # the shared options stay


def test_logs_go_to_the_object_store_by_the_aws_connection(settings, tmp_path):
    found = environment("worker", settings, tmp_path)

    assert found["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "True"
    assert found["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"] == "s3://flywheel/logs"
    connection = json.loads(found["AIRFLOW_CONN_AWS_DEFAULT"])
    assert connection["extra"]["endpoint_url"] == "http://127.0.0.1:9000"


def test_each_queue_has_workers():
    served = {queue for queues in QUEUES.values() for queue in queues.split(",")}
    assert served == {"default", TRAIN, TRUSTED}
    assert TRUSTED not in QUEUES["worker"].split(",")


@pytest.mark.parametrize("role", ["init", "api-server", "scheduler", "dag-processor", *WORKERS])
def test_every_part_of_airflow_has_the_auth_manager_with_roles_and_no_anonymous_role(
    settings, tmp_path, role
):
    found = environment(role, settings, tmp_path)

    assert found["AIRFLOW__CORE__AUTH_MANAGER"] == AUTH_MANAGER
    assert not {name for name in found if "SIMPLE_AUTH_MANAGER" in name or "PUBLIC" in name}


@pytest.mark.parametrize(("url", "secure"), [("https://a.example", "True"), (None, "False")])
def test_the_cookie_of_a_login_goes_over_tls_where_browsers_do(tmp_path, url, secure):
    more = {"airflow_public_url": url} if url else {}
    settings = ClusterSettings.with_secrets(cluster_home=tmp_path, **more)

    assert environment("api-server", settings, tmp_path)["AIRFLOW__FAB__COOKIE_SECURE"] == secure


@pytest.mark.parametrize("role", ["scheduler", "triggerer", *QUEUES])
def test_no_log_server_is_started_it_would_listen_on_every_interface(role):
    assert "--skip-serve-logs" in command(role, "a-name")
