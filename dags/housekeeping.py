"""### Housekeeping

Compares what is in the lake and the registry with what should be there, and sends lost events
again: those to a Dag that was paused, those that a killed scheduler or triggerer had not acted
upon, the request of a training that did not finish, the candidate that was not judged, the champion
that was not announced. Says what is out of date: made by another definition than today's. Nothing
is sent for that; the Dag `rebuild` does it. Corrects MLflow's aliases where they differ from the
promotion ledger.

The task `raise_alerts`, which waits for nothing else, looks for what is wrong and tells people once
([docs/alerts.md](docs/alerts.md)).

**Runs** every 10 minutes (`FLYWHEEL_HOUSEKEEPING_CRON`), by hand, by REST. It has no partition key.
**Produces** asset events, through Airflow's REST API, under an account of its own.

**On failure**: the log says which service did not answer; the next run looks again. If every run
fails: "refuses the login" or "the role `op`" means the Airflow connection `flywheel_airflow`,
"must be signed" the promotion ledger (docs/operations.md, Red). **Expected skips**: nothing was
lost, and nothing is out of date.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from include.settings import Settings
from include.use_cases.schema import UseCase
from plugins.operators.alerts import RaiseAlertsOperator
from plugins.operators.housekeeping import SendLostEventsOperator
from plugins.wheel import dag_arguments, use_cases

CRON = Settings.from_env().housekeeping_cron


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    with DAG(
        **dag_arguments(use_case, "housekeeping", __doc__),
        schedule=CronTriggerTimetable(CRON, timezone="UTC"),
    ) as dag:
        SendLostEventsOperator(task_id="send_lost_events", use_case=use_case.name)
        RaiseAlertsOperator(task_id="raise_alerts", use_case=use_case.name)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__housekeeping"] = build_dag(_use_case)
