"""### Batch predict

Scores each partition of features with the champion, once: what was predicted stays, so that it
can be held against the outcomes later.

**Runs** for each partition of `<use case>.features`, and when a new champion serves (it scores
what no model has scored, later than its own training set); by hand or by REST with a partition
key. **Produces** `<use case>.predictions`, also before there is a champion, so that the monitor
looks and the first training is asked for.

**On failure**: the log says which service did not answer. **Skipped is normal**: everything is
scored.
"""

from airflow.sdk import DAG, chain

from include.use_cases.schema import UseCase
from plugins.operators.batch_predict import FindUnscoredOperator, PredictPartitionOperator
from plugins.wheel import assets_of, dag_arguments, force_param, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    with DAG(
        **dag_arguments(use_case, "batch_predict", __doc__),
        schedule=when(use_case, assets.features | assets.champion),
        params={"force": force_param()},
    ) as dag:
        find = FindUnscoredOperator(
            task_id="find_unscored", use_case=use_case.name, source="features", target="predictions"
        )
        process = PredictPartitionOperator.partial(
            task_id="predict_partition",
            use_case=use_case.name,
            map_index_template="{{ task.partition }}",
            outlets=[assets.predictions],
        ).expand(partition=find.output)
        chain(find, process)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__batch_predict"] = build_dag(_use_case)
