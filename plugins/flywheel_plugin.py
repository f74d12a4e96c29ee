"""The one plugin module: registers what plugs into Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from plugins.links import LINKS, PAGES
from plugins.listeners import sqlite_now, warm_tasks
from plugins.middlewares.one_writer import OneWriter

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer for Flywheel's pages.

    Every process of Airflow loads plugins, and only the API server answers requests: it makes the
    application when the first one comes.
    """
    from plugins.pages.app import app

    await app(scope, receive, send)


class FlywheelPlugin(AirflowPlugin):
    """Flywheel's listeners, its links, and what it adds to the API server and its pages."""

    name = "flywheel"
    operator_extra_links = list(LINKS)  # noqa: RUF012 - the plugin manager's own form
    listeners = [warm_tasks, sqlite_now]  # noqa: RUF012 - likewise
    fastapi_apps = [  # noqa: RUF012 - likewise
        {"app": pages, "url_prefix": PAGES, "name": "Flywheel's pages"}
    ]
    react_apps = [  # noqa: RUF012 - likewise
        {
            "name": "Flywheel",
            "bundle_url": f"{PAGES}/static/flywheel.js",
            "destination": "nav",
            "url_route": "flywheel",
            "nav_top_level": True,
        }
    ]
    fastapi_root_middlewares = [  # noqa: RUF012 - likewise
        {"name": "One writer at a time", "middleware": OneWriter}
    ]
