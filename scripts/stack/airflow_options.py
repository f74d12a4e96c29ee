"""Airflow's settings that are the same on one machine and on a cluster, each with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping

from scripts.stack.settings import REPO

Sections = dict[str, dict[str, object]]
"""Options by section."""


def shared() -> Sections:
    """Return the options; a comment gives the reason of what is not Airflow's default."""
    return {
        "core": {
            "dags_folder": REPO / "dags",
            "plugins_folder": REPO / "plugins",
            "load_examples": False,  # only Flywheel's Dags
            # A forked task has the heavy libraries; Python 3.14's default imports them anew.
            "mp_start_method": "fork",
            "execute_tasks_new_python_interpreter": False,  # for the same reason
            # A paused Dag loses the asset events that should have started it.
            "dags_are_paused_at_creation": False,
            "min_serialized_dag_update_interval": 5,  # a changed Dag shows after seconds
        },
        "api": {
            "workers": 1,  # each costs 300 MB
            "instance_name": "Flywheel",
        },
        "dag_processor": {
            "refresh_interval": 10,  # a new Dag file shows after seconds, not after five minutes
        },
        "scheduler": {
            "scheduler_idle_sleep_time": 0.3,  # the wait between an asset event and the next phase
            "orphaned_tasks_check_interval": 60,  # a killed scheduler's tasks start again
            # A task whose worker was killed starts again after so long, by default after 300 s. A
            # task sends a heartbeat every few seconds.
            "task_instance_heartbeat_timeout": 60,
        },
        "workers": {
            # The supervisor can miss the end of a task (its pipes close before it is gone) and then
            # looks again after this long: by default 5 s, for most tasks that are skipped.
            "min_heartbeat_interval": 1,
        },
        "logging": {
            "file_task_handler_new_folder_permissions": "0o700",  # logs show data
            "file_task_handler_new_file_permissions": "0o600",
            "namespace_levels": "great_expectations=WARNING",  # hundreds of lines a task
            "colored_console_log": False,  # the console is a file here
        },
        "openlineage": {
            "namespace": "flywheel",
            # By default each event forks the task: deltalake panics in a child whose parent has
            # opened a table, and forking a task with the heavy libraries costs more than the event.
            "execute_in_thread": True,
            # Events of Dag runs are sent by one more process of the scheduler's (150 MB); those of
            # the tasks name their Dag run.
            "emission_policy": json.dumps([{"scope": {}, "controls": {"emit_dag_events": False}}]),
        },
    }  # fmt: skip


def observed(log_format: str, statsd_host: str, statsd_port: int) -> Sections:
    """Return the options of logs and metrics that a person chose."""
    found: Sections = {}
    if log_format == "json":
        found["logging"] = {"json_logs": True}
    if statsd_host:
        found["metrics"] = {
            "statsd_on": True,
            "statsd_host": statsd_host,
            "statsd_port": statsd_port,
            # Dag and task as tags; without it each Dag's metrics have another name.
            "statsd_influxdb_enabled": True,
            "legacy_names_on": False,
        }
    return found


def variables(*parts: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Return the environment variables of the options; later parts take precedence.

    >>> variables({"api": {"port": 1, "host": "a"}}, {"api": {"port": 2}})
    {'AIRFLOW__API__PORT': '2', 'AIRFLOW__API__HOST': 'a'}
    """
    return {
        f"AIRFLOW__{section.upper()}__{option.upper()}": str(value)
        for sections in parts
        for section, options in sections.items()
        for option, value in options.items()
    }


def connection(host: str, port: int | None, login: str | None, password: str) -> str:
    """Return a connection of type HTTP, as Airflow reads it from the environment."""
    facts = {"conn_type": "http", "host": host, "port": port, "login": login, "password": password}
    return json.dumps({name: value for name, value in facts.items() if value is not None})
