"""### Rebuild

Starts a run of one phase for each partition of a range, newest first, as a backfill does for Dags
that are scheduled by time (Airflow cannot backfill Dags that are scheduled by assets). Each run
does its work whether it is due or not; the next phase is started where the result differs. Made for
what is out of date: an edit of a feature, a cleaning rule, a suite or a label rule rebuilds nothing
by itself, and housekeeping says what to rebuild.

**Runs** by hand with a form, or by REST. It has no partition key: the form names a range.
**Produces** Dag runs of the phase, whose ids begin with this run's.

**On failure**: the log says which field is wrong (start it again with a correct one), or that
Airflow's REST API does not answer (clear the task: runs that were started are not started twice).
**Expected skips**: only what is out of date was asked for, and nothing is.
"""

from airflow.sdk import DAG, Param

from include.due.stages import REBUILT
from include.use_cases.schema import UseCase
from plugins.operators.rebuild import EVERY, OUT_OF_DATE, RebuildOperator
from plugins.wheel import PARTITION_PATTERN, dag_arguments, use_cases


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    params = {
        "phase": Param(
            type="string",
            enum=sorted(REBUILT),
            title="Phase",
            description="Which Dag is run for each partition.",
        ),
        "first": Param(
            type="string",
            pattern=PARTITION_PATTERN,
            title="First partition",
            description="Such as 2013-04.",
        ),
        "last": Param(
            type="string",
            pattern=PARTITION_PATTERN,
            title="Last partition",
            description="It is rebuilt too.",
        ),
        "only": Param(
            default=EVERY,
            type="string",
            enum=[EVERY, OUT_OF_DATE],
            title="Which",
            description="All, or those that another definition than today's has made.",
        ),
        "most": Param(
            default=31,
            type="integer",
            minimum=1,
            maximum=366,
            title="At most this many runs",
            description="One run per partition, the newest first.",
        ),
    }
    with DAG(**dag_arguments(use_case, "rebuild", __doc__), schedule=None, params=params) as dag:
        RebuildOperator(task_id="start_runs", use_case=use_case.name)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__rebuild"] = build_dag(_use_case)
