"""The one plugin module: registers what plugs into Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from plugins.listeners import warm_tasks
from plugins.middlewares.one_writer import OneWriter


class FlywheelPlugin(AirflowPlugin):
    """Flywheel's listener, and its middleware of the API server."""

    name = "flywheel"
    listeners = [warm_tasks]  # noqa: RUF012 - the plugin manager's own form
    fastapi_root_middlewares = [  # noqa: RUF012 - likewise
        {"name": "One writer at a time", "middleware": OneWriter}
    ]
