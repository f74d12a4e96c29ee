"""The one plugin module: registers what plugs into Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from plugins.listeners import warm_tasks


class FlywheelPlugin(AirflowPlugin):
    """Flywheel's listener."""

    name = "flywheel"
    listeners = [warm_tasks]  # noqa: RUF012 - the plugin manager's own form
