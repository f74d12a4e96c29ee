"""The environment variables of the stack's processes, each with its reason."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from include.tracking_server.users import PIPELINE, SERVING, USERS, password_variable
from scripts.stack import airflow_options, secret_files
from scripts.stack.settings import HOST, MARKER, REPO, StackSettings

_WITHOUT_TELEMETRY = {
    "DO_NOT_TRACK": "1",  # Evidently
    "GX_ANALYTICS_ENABLED": "false",  # Great Expectations
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
}

_AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"

# A login from the caller's shell is for another server.
_MLFLOW_LOGIN = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"}


def process_environment(path: str) -> dict[str, str]:
    """Return what every part sees, on one machine and on a cluster.

    Parameters
    ----------
    path
        Where programs are looked for, after those of this Python environment.
    """
    return {
        **_WITHOUT_TELEMETRY,
        # Airflow sets process titles, by default over the environment in which `down` looks.
        "SPT_NOENV": "1",
        # Airflow starts helpers by name.
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{path}",
        # `include`, `plugins` and `dags` are imported from the repository's root.
        "PYTHONPATH": str(REPO),
        # The log shows what was printed before a crash.
        "PYTHONUNBUFFERED": "1",
        # Tasks are the parallelism: threads of each would fight for the cores.
        "OMP_NUM_THREADS": "1",
        # glibc's arena for each thread costs the servers tens of MB.
        "MALLOC_ARENA_MAX": "2",
    }


def base_environment(
    settings: StackSettings, env: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return what every part sees: the caller's environment, and over it where this stack is."""
    return {
        **{name: value for name, value in env.items() if name not in _MLFLOW_LOGIN},
        **process_environment(env.get("PATH", os.defpath)),
        **{variable: str(port) for variable, port in settings.ports.items()},
        settings.variable("labelling_port"): str(settings.labelling_port),
        "FLYWHEEL_HOME": str(settings.home),
        "FLYWHEEL_LOG_FORMAT": settings.log_format,
        "FLYWHEEL_STATSD_HOST": settings.statsd_host,
        "FLYWHEEL_STATSD_PORT": str(settings.statsd_port),
        # An address from the caller's shell would join this stack to another one.
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "FLYWHEEL_SERVING_URL": settings.serving_url,
        "FLYWHEEL_SERVING_HOST": HOST,  # it asks nobody for a password
        MARKER: str(settings.home),
        # A proxy of the caller's must not see requests to the machine itself.
        "NO_PROXY": _with_loopback(env.get("NO_PROXY", "")),
        "no_proxy": _with_loopback(env.get("no_proxy", "")),
    }


def airflow_environment(
    settings: StackSettings, env: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return Airflow's own settings; a comment gives the reason of what is not its default."""
    logs = settings.airflow_home / "logs"
    own: airflow_options.Sections = {
        "core": {
            "executor": "LocalExecutor",
            # Most tasks wait for MLflow or the disk: a third keeps short ones moving beside two
            # trainings. Each idle worker costs 140 MB.
            "parallelism": max(3, os.cpu_count() or 1),
            "auth_manager": _AUTH_MANAGER,  # users and passwords from our own files
            # `op` is the least role that may create an asset event.
            "simple_auth_manager_users": (
                f"{secret_files.ADMIN}:admin,{secret_files.HOUSEKEEPING}:op"
            ),
            "simple_auth_manager_passwords_file": settings.password_file,  # else Airflow prints one
            "execution_api_server_url": f"{settings.airflow_url}/execution/",  # for the port
            "fernet_key": secret_files.read(settings, "fernet_key"),
            # '127.0.0.1': asks no DNS, and the log server, where logs are fetched, listens there.
            "hostname_callable": "urllib.request.localhost",
        },
        "database": {
            # SQLite gives up on a locked file after 5 s by default: a busy machine may need more.
            "sql_alchemy_conn": f"sqlite:///{settings.airflow_home}/airflow.db?timeout=60",
        },
        "api": {
            "host": HOST,  # the default is every network interface
            "port": settings.airflow_port,
            "base_url": settings.airflow_url,  # links in the pages and in notifications
            "secret_key": secret_files.read(settings, "api_secret_key"),  # one for all parts
        },
        "api_auth": {"jwt_secret": secret_files.read(settings, "jwt_secret")},  # likewise
        "dag_processor": {
            "dag_bundle_storage_path": settings.airflow_home / "bundles",  # else shared in /tmp
        },
        "logging": {
            "base_log_folder": logs,
            "dag_processor_child_process_log_directory": logs / "dag_processor",
            "worker_log_server_port": settings.log_port,
            "trigger_log_server_port": settings.log_port,  # one server reads one folder
        },
        "openlineage": _openlineage(settings, env),
    }
    return {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW_CONN_FLYWHEEL_MLFLOW": airflow_options.connection(
            HOST,
            settings.mlflow_port,
            PIPELINE,
            secret_files.mlflow_password(settings, PIPELINE),
        ),
        "AIRFLOW_CONN_FLYWHEEL_AIRFLOW": airflow_options.connection(
            HOST,
            settings.airflow_port,
            secret_files.HOUSEKEEPING,
            secret_files.airflow_password(settings, secret_files.HOUSEKEEPING),
        ),
        "AIRFLOW_CONN_FLYWHEEL_SERVING": settings.serving_url,
        # Whether or not it runs: `make labelling-up` needs no restart of the stack.
        "AIRFLOW_CONN_LABEL_STUDIO": airflow_options.connection(
            HOST,
            settings.labelling_port,
            None,
            secret_files.read(settings, "label_studio_token"),
        ),
        **airflow_options.variables(
            airflow_options.shared(),
            own,
            airflow_options.observed(
                settings.log_format, settings.statsd_host, settings.statsd_port
            ),
        ),
    }


def _openlineage(settings: StackSettings, env: Mapping[str, str]) -> dict[str, object]:
    """Return where lineage events are sent: into a file of the home, unless the caller says where.

    `OPENLINEAGE_URL` (with `OPENLINEAGE_API_KEY`), `OPENLINEAGE_CONFIG` or `OPENLINEAGE__TRANSPORT`
    are read by the provider itself, from each task's environment: no key is copied into a setting
    of Airflow. `OPENLINEAGE_DISABLED=true` switches the events off.
    """
    own = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")
    if any(name.startswith(own) and value for name, value in env.items()):
        return {}
    path = str(settings.home / "openlineage" / "events.jsonl")
    transport = {"type": "include.lineage.event_file.EventFile", "path": path}
    return {"transport": json.dumps(transport)}


def mlflow_environment(settings: StackSettings) -> dict[str, str]:
    """Return the MLflow server's own settings, with the passwords of its users."""
    return {
        "FLYWHEEL_MLFLOW_DATABASE": settings.mlflow_database,
        "FLYWHEEL_MLFLOW_AUTH_DATABASE": f"sqlite:///{settings.mlflow_home}/users.db",
        "FLYWHEEL_MLFLOW_ARTIFACTS": str(settings.mlflow_home / "artifacts"),
        "FLYWHEEL_MLFLOW_HOST": HOST,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret_files.read(settings, "mlflow_secret_key"),
        **{password_variable(user): secret_files.mlflow_password(settings, user) for user in USERS},
    }


def mlflow_login(settings: StackSettings, user: str = SERVING) -> dict[str, str]:
    """Return the variables from which MLflow's client takes its login.

    By default of the user that may only read.
    """
    return {
        "MLFLOW_TRACKING_USERNAME": user,
        "MLFLOW_TRACKING_PASSWORD": secret_files.mlflow_password(settings, user),
    }


def _with_loopback(hosts: str) -> str:
    return ",".join(dict.fromkeys([*filter(None, hosts.split(",")), HOST, "localhost"]))
