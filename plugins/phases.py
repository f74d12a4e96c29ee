"""How much of each phase runs at once, and for how long: one place for Dags, pools and tests.

Imports nothing of Airflow, because `make up` makes the pools from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

TRAIN = "train"
"""Celery queue of the long tasks: dedicated workers can take them."""
TRUSTED = "trusted"
"""Celery queue of the tasks that sign: only its workers have the signing key. Other executors
ignore queues."""

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Phase:
    """Limits of one phase.

    :param active_runs: Dag runs of one use case at a time. Not more than the pool's slots: a run
        that waits for a slot uses up its own time-out.
    :param task_timeout: longest attempt of a task
    :param run_timeout: longest run; all attempts of the longest chain of tasks fit into it
    :param retries: attempts after the first
    :param slots: slots of the phase's pool, for all use cases together
    """

    active_runs: int
    task_timeout: timedelta
    run_timeout: timedelta
    retries: int = 3
    slots: int = 4


PHASES = {
    # Serial: two runs at once would read the same files. 500 partitions take about a minute.
    "ingest_label": Phase(1, 30 * MINUTE, 5 * HOUR),
    "retract": Phase(1, 10 * MINUTE, HOUR),
    # A partition is one task, seconds of work for 300,000 rows.
    "validate_clean": Phase(4, 10 * MINUTE, HOUR),
    "label": Phase(4, 10 * MINUTE, HOUR),
    # Four tasks of a minute each, and days of waiting (`labels.people.within` is added to the run's
    # time): many rounds may be open, so that none keeps another partition from being asked about.
    "annotate": Phase(16, 10 * MINUTE, 4 * HOUR, slots=16),
    "feature": Phase(4, 10 * MINUTE, HOUR),
    "batch_predict": Phase(4, 10 * MINUTE, 2 * HOUR),
    "drift_monitor": Phase(4, 10 * MINUTE, HOUR),
    # Serial: a decision counts the trainings that were asked for before it.
    "retrain_trigger": Phase(1, 5 * MINUTE, HOUR),
    # Trials are the parallelism. One may be a long fit; it is lost when the machine is.
    # Eight tasks, one after the other, of three attempts each.
    "train_tune": Phase(1, 2 * HOUR, 50 * HOUR, retries=2, slots=16),
    # Serial: of two promotions at once one would be refused. Waiting for serving is deferred.
    # The refit may take as long as a trial, in each of its attempts.
    "deploy": Phase(1, 30 * MINUTE, 20 * HOUR),
    # One fit of the chosen configuration; its result is read by a person.
    "reproduce": Phase(1, 2 * HOUR, 9 * HOUR, slots=2),
    "rebuild": Phase(1, 10 * MINUTE, HOUR),
    "housekeeping": Phase(1, 5 * MINUTE, 9 * MINUTE, retries=0),
}
