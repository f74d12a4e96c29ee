"""The environment of each part of a cluster, in a container or as a plain process.

A part gets the secrets that it needs and no others: workers reach Airflow through its API only, so
they know neither its database nor the secret that makes tokens; the signing key is the trusted
worker's alone.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from include.tracking_server.users import PIPELINE, SERVING, USERS, password_variable
from plugins.phases import PHASES
from scripts.cluster import aws
from scripts.cluster.settings import KEY_PAIR, MADE, ClusterSettings
from scripts.stack import airflow_options, secret_files
from scripts.stack.environment import process_environment
from scripts.stack.settings import HOST, program

_DATABASE = ("airflow_database_password", "fernet_key")
_TASKS = (
    "redis_password", "mlflow_pipeline_password", "housekeeping_password", "label_studio_token",
    *KEY_PAIR,
)  # fmt: skip

NEEDS: dict[str, tuple[str, ...]] = {
    "init": (
        "postgres_password", "mlflow_database_password", "admin_password", "housekeeping_password",
        *_DATABASE, *KEY_PAIR,
    ),
    "api-server": (*_DATABASE, "jwt_secret", "api_secret_key", *KEY_PAIR),
    "scheduler": (*_DATABASE, "jwt_secret", "redis_password", *KEY_PAIR),
    "dag-processor": (*_DATABASE, *KEY_PAIR),
    "triggerer": (*_DATABASE, "jwt_secret", "label_studio_token", *KEY_PAIR),
    "worker": _TASKS,
    "trusted": (*_TASKS, "signing_key_base64"),
    "mlflow": (
        "mlflow_database_password", "mlflow_secret_key", "mlflow_admin_password",
        "mlflow_pipeline_password", "mlflow_serving_password", *KEY_PAIR,
    ),
    "serving": ("mlflow_serving_password", *KEY_PAIR),
    "flower": ("redis_password", "flower_password"),
}  # fmt: skip
"""The secrets of each role. A role is what a part does: there are several workers of one role."""

_VERIFY_KEY, _SIGNING_KEY = "verify.pem", "signing.pem"
AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
"""Users and roles in Airflow's database; the first job makes them (`scripts/cluster/access.py`)."""

QUEUES = {"worker": "default,train", "trusted": "trusted"}
"""The queues from which a role's workers take tasks."""

_REDELIVERED_AFTER = max(phase.task_timeout for phase in PHASES.values()) + timedelta(hours=1)


def environment(role: str, settings: ClusterSettings, home: Path) -> dict[str, str]:
    """Return a part's variables.

    Parameters
    ----------
    role
        One of `NEEDS`.
    settings
        Of the cluster.
    home
        The part's own folder; nothing in it is shared with another part.

    Raises
    ------
    SettingsError
        A secret that the role needs is not set.
    """
    settings.check(NEEDS[role])
    if role == "flower":
        return _flower(settings, home)
    found = _every_part(settings, home)
    if role == "mlflow":
        return found | aws.keys(settings) | _mlflow(settings)
    if role == "serving":
        return (
            found
            | aws.keys(settings)
            | {
                "FLYWHEEL_SERVING_HOST": settings.listen_host,
                "FLYWHEEL_SERVING_POLL_S": str(settings.serving_poll_s),
                "FLYWHEEL_SERVING_HOSTS": settings.serving_hosts,
                # Between the containers anybody may ask; what is published decides.
                "FLYWHEEL_SERVING_OPEN": str(int(settings.serving_open or settings.bind == HOST)),
                "MLFLOW_TRACKING_USERNAME": SERVING,
                "MLFLOW_TRACKING_PASSWORD": settings.secret("mlflow_serving_password"),
            }
        )
    return found | _airflow(role, settings, home)


def _every_part(settings: ClusterSettings, home: Path) -> dict[str, str]:
    return {
        **process_environment(os.environ.get("PATH", os.defpath)),
        "FLYWHEEL_HOME": str(home),
        "FLYWHEEL_USE_CASES": str(settings.use_cases),
        "FLYWHEEL_LAKE_URI": settings.lake_uri,
        "FLYWHEEL_LANDING_URI": settings.landing_uri,
        "FLYWHEEL_LANDING_POLL_S": str(settings.landing_poll_s),
        "FLYWHEEL_HOUSEKEEPING_CRON": settings.housekeeping_cron,
        "FLYWHEEL_VERIFY_KEY": str(home / _VERIFY_KEY),
        "FLYWHEEL_SERVING_URL": settings.serving_url,
        "FLYWHEEL_LOG_FORMAT": settings.log_format,
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        **aws.addresses(settings),
    }


def _flower(settings: ClusterSettings, home: Path) -> dict[str, str]:
    return {
        **process_environment(os.environ.get("PATH", os.defpath)),
        "FLYWHEEL_HOME": str(home),
        "FLYWHEEL_VERIFY_KEY": str(home / _VERIFY_KEY),
        "CELERY_BROKER_URL": settings.redis(0),
        "FLOWER_ADDRESS": settings.listen_host,
        "FLOWER_PORT": str(settings.flower_port),
        "FLOWER_BASIC_AUTH": f"{secret_files.ADMIN}:{settings.secret('flower_password')}",
    }


def _mlflow(settings: ClusterSettings) -> dict[str, str]:
    hosts = settings.mlflow_allowed_hosts
    return {
        **({"MLFLOW_SERVER_ALLOWED_HOSTS": hosts} if hosts else {}),
        "FLYWHEEL_MLFLOW_DATABASE": settings.database("mlflow"),
        "FLYWHEEL_MLFLOW_AUTH_DATABASE": settings.database("mlflow_users"),
        "FLYWHEEL_MLFLOW_ARTIFACTS": settings.artifacts_uri,
        "FLYWHEEL_MLFLOW_HOST": settings.listen_host,
        "FLYWHEEL_MLFLOW_PORT": str(settings.mlflow_port),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": settings.secret("mlflow_secret_key"),
        **{password_variable(user): settings.secret(f"mlflow_{user}_password") for user in USERS},
    }


def _airflow(role: str, settings: ClusterSettings, home: Path) -> dict[str, str]:
    airflow_home, needs = home / "airflow", NEEDS[role]
    options: airflow_options.Sections = {
        "core": {
            "executor": "CeleryExecutor",
            "parallelism": settings.parallelism,
            "auth_manager": AUTH_MANAGER,
            "execution_api_server_url": f"{settings.airflow_url}/execution/",
        },
        "api": {"base_url": settings.airflow_public_url, "port": settings.airflow_port},
        "dag_processor": {
            "dag_bundle_storage_path": airflow_home / "bundles",
            "min_file_process_interval": settings.dag_parse_interval_s,
        },
        "logging": {
            "base_log_folder": airflow_home / "logs",
            "dag_processor_child_process_log_directory": airflow_home / "logs" / "dag_processor",
            # A log can be read after the worker that wrote it is gone.
            "remote_logging": True,
            "remote_base_log_folder": settings.logs_uri,
            "remote_log_conn_id": "aws_default",
        },
    }
    found = {
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW_CONN_AWS_DEFAULT": aws.connection(settings),
        "FLYWHEEL_LAKE_AWS_CONN_ID": settings.lake_aws_conn_id,
        "FLYWHEEL_LANDING_AWS_CONN_ID": settings.landing_aws_conn_id,
    }
    # The environment's login would take precedence over the connection's.
    if settings.aws_connection is None or role == "init":
        found |= aws.keys(settings)
    if "airflow_database_password" in needs:
        options["database"] = {"sql_alchemy_conn": settings.database("airflow")}
        options["core"]["fernet_key"] = settings.secret("fernet_key")
        options |= aws.secrets_backend(settings)
    if "jwt_secret" in needs:
        options["api_auth"] = {"jwt_secret": settings.secret("jwt_secret")}
    if "redis_password" in needs:
        options |= _celery(settings)
    if role == "api-server":
        # The cookie of a login goes over TLS only, where a browser reaches Airflow by it.
        secure = settings.airflow_public_url.startswith("https://")
        # The first job has made the roles; by default each start of the server does.
        options["fab"] = {"cookie_secure": secure, "update_fab_perms": False}
        options["api"]["secret_key"] = settings.secret("api_secret_key")
        options["api"]["host"] = settings.listen_host
    if role in QUEUES:
        found |= _connections(settings)
        if role == "trusted":
            found["FLYWHEEL_SIGNING_KEY"] = str(home / _SIGNING_KEY)
    if role == "triggerer":
        found["AIRFLOW_CONN_FLYWHEEL_SERVING"] = settings.serving_url
        found |= _label_studio(settings)
    observed = airflow_options.observed(
        settings.log_format, settings.statsd_host, settings.statsd_port
    )
    return found | airflow_options.variables(airflow_options.shared(), options, observed)


def _celery(settings: ClusterSettings) -> airflow_options.Sections:
    return {
        "scheduler": {
            # A task that was sent and did not begin is sent again after so long: a worker that was
            # lost had taken it, or Redis lost it. By default after 600 s, and it fails after half
            # an hour, although it may only have waited for a worker with a free slot.
            "task_queued_timeout": 60,
            # Less than the 10 s (`[api_auth] jwt_leeway`) for which the task's token, which is
            # valid as long as the time-out, is still accepted: none begins with one that has ended.
            "task_queued_timeout_check_interval": 5,
            "num_stuck_in_queued_retries": 1_000_000,
        },
        "celery": {
            "broker_url": settings.redis(0),
            # In Redis too: a worker then needs no login at Postgres.
            "result_backend": settings.redis(1),
            "celery_config_options": "plugins.celery_settings.CONFIG",
            "worker_concurrency": settings.worker_concurrency,
        },
        "celery_broker_transport_options": {
            # Redis hands out again what a worker has not finished after so long: longer than the
            # longest task. Airflow refuses a second start of a task that runs or has ended.
            "visibility_timeout": int(_REDELIVERED_AFTER.total_seconds()),
        },
    }


def _connections(settings: ClusterSettings) -> dict[str, str]:
    connection = airflow_options.connection
    pipeline = settings.secret("mlflow_pipeline_password")
    housekeeping = settings.secret("housekeeping_password")
    return {
        "AIRFLOW_CONN_FLYWHEEL_MLFLOW": connection(settings.tracking_uri, None, PIPELINE, pipeline),
        "AIRFLOW_CONN_FLYWHEEL_AIRFLOW": connection(
            settings.airflow_url, None, secret_files.HOUSEKEEPING, housekeeping
        ),
        "AIRFLOW_CONN_FLYWHEEL_SERVING": settings.serving_url,
        **_label_studio(settings),
    }


def _label_studio(settings: ClusterSettings) -> dict[str, str]:
    """Whether or not it runs: it can be started at any time."""
    token = settings.secret("label_studio_token")
    connection = airflow_options.connection(settings.label_studio_url, None, None, token)
    return {"AIRFLOW_CONN_LABEL_STUDIO": connection}


def own_variables(role: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of cluster.env without the secrets that a role does not need."""
    others = {ClusterSettings.variable(field) for field in MADE.keys() - set(NEEDS[role])}
    return {name: value for name, value in variables.items() if name not in others}


def files(role: str, settings: ClusterSettings) -> dict[str, bytes]:
    """Return the files that a role reads from its home, by name; each is its owner's only.

    Raises
    ------
    SettingsError
        A secret that the role needs is not set, or the verifying key.
    """
    settings.check(NEEDS[role])
    found = {_VERIFY_KEY: settings.verify_keys()}
    if role == "trusted":
        found[_SIGNING_KEY] = base64.b64decode(settings.secret("signing_key_base64"))
    return found


def command(role: str, name: str) -> tuple[str, ...]:
    """Return the program that a role runs.

    Parameters
    ----------
    role
        One of `NEEDS`.
    name
        Of the part, among those of its role: workers are told apart by it.
    """
    airflow = program("airflow")
    if role in QUEUES:
        worker = ("celery", "worker", "--queues", QUEUES[role], "--celery-hostname", name)
        # Its log server listens on every network interface; the logs are in the object store.
        return (airflow, *worker, "--skip-serve-logs")
    return {
        "init": (sys.executable, "-m", "scripts.cluster.initialise"),
        "api-server": (airflow, "api-server"),
        "scheduler": (airflow, "scheduler", "--skip-serve-logs"),
        "dag-processor": (airflow, "dag-processor"),
        "triggerer": (airflow, "triggerer", "--skip-serve-logs"),
        "mlflow": (sys.executable, "-m", "include.tracking_server"),
        "serving": (sys.executable, "-m", "include.serving"),
        "flower": (program("celery"), "flower"),
    }[role]
