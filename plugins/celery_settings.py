"""Celery's settings, what its workers import before they fork, and what they watch while they run.

`[celery] celery_config_options` names `CONFIG`: the settings are Airflow's own. That option is the
one place where Airflow imports a module of ours in a worker before the worker forks.
"""

from __future__ import annotations

import logging
import time

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.signals import worker_init, worker_ready  # type: ignore[import-untyped]

from include.settings import Settings
from plugins import worker_disk
from plugins.listeners.warm_tasks import MODULES, warm

CONFIG = DEFAULT_CELERY_CONFIG

log = logging.getLogger(__name__)


def import_libraries(**_: object) -> None:
    """Import the libraries of the tasks once: the pool's processes, and their tasks, are forks.

    Libraries alone, as for the local executor: our own code is read anew by each task.
    `FLYWHEEL_WARM_TASKS=0` switches it off.
    """
    if not Settings.from_env().warm_tasks:
        return
    started = time.monotonic()
    warm(MODULES)
    log.info("Tasks start warm: %d modules in %.1f s", len(MODULES), time.monotonic() - started)


worker_init.connect(import_libraries)
worker_ready.connect(worker_disk.watch)
