"""Imports libraries once, in the process that forks the tasks, or the parsers of Dag files.

A task that uses MLflow, Great Expectations, Evidently and scikit-learn otherwise spends about 15
s on importing them. The local executor forks its workers from the scheduler, and those fork the
tasks: what the scheduler has imported is there in every task. Only imports: no threads, no
connections, no computation before a fork. `FLYWHEEL_WARM_TASKS=0` switches it off.

The dag-processor forks a parser per Dag file, again and again: it imports what every file needs.
"""

from __future__ import annotations

import gc
import importlib
import logging
import sys
import time
from collections.abc import Sequence

from airflow.listeners import hookimpl

from include.settings import Settings

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

PARSING = ("pydantic_settings", "ruamel.yaml", "airflow.providers.amazon.aws.assets.s3")
"""Libraries alone: a change of our own code must be seen without a new dag-processor.

The first `Asset` of a file makes Airflow import the URI handlers of all installed providers; the
one for S3 brings boto3, half a second in every file.
"""

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:
    """Import the modules when this process is the scheduler or the dag-processor.

    Airflow calls this while the job is being made, before it knows its own kind: the command line
    tells.
    """
    wanted = {"scheduler": MODULES, "dag-processor": PARSING}
    modules = [m for argument in sys.argv[1:] for m in wanted.get(argument, ())]
    # Nothing is cold in a forked task, which starts as a component of its own.
    cold = [module for module in modules if module not in sys.modules]
    if not cold or not Settings.from_env().warm_tasks:
        return
    started = time.monotonic()
    warm(cold)
    log.info(
        "Forks start warm: %d modules imported in %.1f s", len(cold), time.monotonic() - started
    )


def warm(modules: Sequence[str]) -> None:
    """Import modules, and spare the forks from looking through them for garbage.

    A full collection over so many objects takes a fork a tenth of a second, and copies the pages
    that it shares with this process.
    """
    for module in modules:
        importlib.import_module(module)
    gc.freeze()
