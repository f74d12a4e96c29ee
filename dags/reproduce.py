"""### Reproduce

Fits a registered model again from what its signed package names (versions of the tables by their
ids, configuration, Python, seed, chosen candidate and parameters), and compares what both predict
on the holdout. The search is not repeated. Nothing is registered, promoted or published.

**Runs** by hand with a form, or by REST. It has no partition key: the form names a model version.
**Produces** nothing that starts another Dag: the verdict is the task's XCom and stands in its log.

**On failure**: there is no such version, its package is not what was signed, or a service does not
answer; the log says which. `different` and `impossible` are verdicts, not failures: the verdict
names what differs (lock, code, Python, processor) and what data is gone.
"""

from airflow.sdk import DAG, Param

from include.use_cases.schema import UseCase
from plugins.operators.reproduce import ReproduceModelOperator
from plugins.wheel import dag_arguments, use_cases


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    version = Param(
        type="string",
        pattern=r"^[1-9]\d*$",
        title="Model version",
        description="Which version of the registered model to fit again, such as 2.",
    )
    with DAG(
        **dag_arguments(use_case, "reproduce", __doc__),
        schedule=None,
        params={"version": version},
    ) as dag:
        ReproduceModelOperator(task_id="reproduce_model", use_case=use_case.name)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__reproduce"] = build_dag(_use_case)
