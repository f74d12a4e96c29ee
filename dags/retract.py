"""### Retract

Takes one landed partition back: its files of rows and labels are moved to `.retracted/` of the
landing area, and its rows are removed from the tables `raw` to `monitoring`; reference tables and
decisions are left. Who wanted it and why is kept in the table `retractions`. Earlier versions of
the tables still hold the rows, so a model that learned from them can be traced.

**Runs** by hand with a form, or by REST. It has no partition key: the form names the partition.
**Produces** nothing that starts another Dag.

**On failure**: the log says what the form lacks, or which store does not answer. Clear the task: it
finishes what it began.
"""

from airflow.sdk import DAG, Param

from include.use_cases.schema import UseCase
from plugins.operators.retract import RetractOperator
from plugins.wheel import PARTITION_PATTERN, dag_arguments, use_cases


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    partition = Param(
        type="string",
        pattern=PARTITION_PATTERN,
        title="Partition",
        description="Which landed partition to take back, such as 2013-04.",
    )
    reason = Param(type="string", minLength=3, title="Reason", description="Kept in the record.")
    with DAG(
        **dag_arguments(use_case, "retract", __doc__),
        schedule=None,
        params={"partition": partition, "reason": reason},
    ) as dag:
        RetractOperator(task_id="retract_partition", use_case=use_case.name)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__retract"] = build_dag(_use_case)
