"""### Drift monitor

Holds each partition against the sample the model was tested on (Evidently): drift of features,
drift of predictions, and, once the outcomes are there, the performance of the predictions that
were made.

**Runs** for each partition of `<use case>.predictions`, and for labels that arrive late; by hand
or by REST with a partition key. **Produces** `<use case>.drift`, and a report in MLflow.

**On failure**: the log says which service did not answer. Drift or decay is a verdict, never a
red task. **Skipped is normal**: everything is monitored in its present version.
"""

from airflow.sdk import DAG, chain

from include.use_cases.schema import UseCase
from plugins.operators.drift_monitor import FindUnmonitoredOperator, MonitorPartitionOperator
from plugins.wheel import assets_of, dag_arguments, force_param, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    news = assets.predictions | assets.labels if use_case.labels else assets.predictions
    with DAG(
        **dag_arguments(use_case, "drift_monitor", __doc__),
        schedule=when(use_case, news),
        params={"force": force_param()},
    ) as dag:
        find = FindUnmonitoredOperator(
            task_id="find_unmonitored",
            use_case=use_case.name,
            source="features",
            target="monitoring",
        )
        process = MonitorPartitionOperator.partial(
            task_id="monitor_partition",
            use_case=use_case.name,
            map_index_template="{{ task.partition }}",
            outlets=[assets.drift],
        ).expand(partition=find.output)
        chain(find, process)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__drift_monitor"] = build_dag(_use_case)
