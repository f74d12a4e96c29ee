"""### Housekeeping

Compares what the lake, the registry and the decisions say with what should be there, and sends
again what was lost: events to a Dag that was paused, or that a killed scheduler or triggerer had
not acted upon, a training that was asked for and never finished, a model that was never judged or
announced. Puts MLflow's aliases right where they differ from the promotion ledger.

**Runs** every 10 minutes (`FLYWHEEL_HOUSEKEEPING_CRON`), by hand, by REST. It has no partition key.
**Produces** asset events, through Airflow's REST API, under an account of its own.

**On failure**: the log says which service did not answer; the next run looks again. **Expected
skips**: nothing was lost.
"""

import os

from airflow.sdk import DAG, CronTriggerTimetable

from include.use_cases.schema import UseCase
from plugins.operators.housekeeping import SendLostEventsOperator
from plugins.wheel import dag_arguments, use_cases

CRON = os.environ.get("FLYWHEEL_HOUSEKEEPING_CRON") or "*/10 * * * *"


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    with DAG(
        **dag_arguments(use_case, "housekeeping", __doc__),
        schedule=CronTriggerTimetable(CRON, timezone="UTC"),
    ) as dag:
        SendLostEventsOperator(task_id="send_lost_events", use_case=use_case.name)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__housekeeping"] = build_dag(_use_case)
