"""The one plugin module: registers what plugs into Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from plugins.links import LINKS
from plugins.listeners import sqlite_now, warm_tasks
from plugins.middlewares.one_writer import OneWriter


class FlywheelPlugin(AirflowPlugin):
    """Flywheel's listeners, its links, and its middleware of the API server."""

    name = "flywheel"
    operator_extra_links = list(LINKS)  # noqa: RUF012 - the plugin manager's own form
    listeners = [warm_tasks, sqlite_now]  # noqa: RUF012 - likewise
    fastapi_root_middlewares = [  # noqa: RUF012 - likewise
        {"name": "One writer at a time", "middleware": OneWriter}
    ]
