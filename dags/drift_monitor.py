"""### Drift monitor

Compares one partition with the sample the model was tested on (Evidently): drift of features,
drift of predictions, and, once the outcomes are there, the performance of the predictions that
were made.

**Runs** for each partition of `<use case>.predictions`, and for labels that arrive late; by hand
or by REST with a partition key, or by "materialize" on the asset. **Produces** `<use case>.drift`,
and a report in MLflow.

**On failure**: the log says which service did not answer. Bring it back (`make status`) and clear
the task; left alone, housekeeping starts the work again. Drift or decay is a verdict,
never a failed task. **Expected skips**: the partition is monitored in its present version, or
nothing was predicted for it.
"""

from airflow.sdk import DAG

from include.use_cases.schema import UseCase
from plugins.operators.drift_monitor import MonitorPartitionOperator
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    sources = [assets.predictions, assets.labels] if use_case.labels else [assets.predictions]
    news = assets.predictions | assets.labels if use_case.labels else assets.predictions
    with DAG(
        **dag_arguments(use_case, "drift_monitor", __doc__), schedule=when(use_case, news)
    ) as dag:
        MonitorPartitionOperator(
            task_id="monitor_partition",
            use_case=use_case.name,
            inlets=sources,
            outlets=[assets.drift],
        )
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__drift_monitor"] = build_dag(_use_case)
