"""Imports the heavy libraries once, in the process that forks the tasks.

A task that uses MLflow, Great Expectations, Evidently and scikit-learn otherwise spends about 15
s on importing them. The local executor forks its workers from the scheduler, and those fork the
tasks: what the scheduler has imported is there in every task. Only imports: no threads, no
connections, no computation before a fork. `FLYWHEEL_WARM_TASKS=0` switches it off.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time

from airflow.listeners import hookimpl

MODULES = (
    "pandas",
    "pyarrow.csv",
    "deltalake",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "optuna",
    "skops.io",
    "mlflow",
    "mlflow.sklearn",
    "evidently",
    "evidently.presets",
    "great_expectations",
)

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:
    """Import the modules when this process is the scheduler.

    Airflow calls this while the job is being made, before it knows its own kind: the command line
    tells.
    """
    if "scheduler" not in sys.argv[1:] or os.environ.get("FLYWHEEL_WARM_TASKS", "1") == "0":
        return
    cold = [module for module in MODULES if module not in sys.modules]
    if not cold:  # a forked task: it starts as a component of its own
        return
    started = time.monotonic()
    for module in cold:
        importlib.import_module(module)
    log.info(
        "Tasks start warm: %d modules imported in %.1f s", len(cold), time.monotonic() - started
    )
