"""Let "now" have fractions of a second in the scheduler's queries, where the database is SQLite.

The scheduler takes up runs whose `run_after` is not later than the database's now. SQLite's now is
cut to whole seconds, so each run would wait half a second on average, and up to one.
"""

from __future__ import annotations

import sys

from airflow.listeners import hookimpl
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import now


@hookimpl
def on_starting(component: object) -> None:
    """Register the expression when this process is the scheduler."""
    if "scheduler" in sys.argv[1:]:
        register()


def register() -> None:
    """Make SQLAlchemy write SQLite's now with six digits behind the second, as it stores times."""

    @compiles(now, "sqlite")
    def _precise(*_: object, **__: object) -> str:
        return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"
