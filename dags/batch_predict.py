"""### Batch predict

Scores one partition of features with the champion. A new champion does not score it again: what was
predicted is compared with the outcomes later.

**Runs** for each partition of `<use case>.features`, and for each one that a new champion has to
score; by hand or by REST with a partition key, or by "materialize" on the asset. **Produces** `<use
case>.predictions`; before there is a champion, `<use case>.unscored`, so that a first training is
considered.

**On failure**: the log says which service did not answer. Bring it back (`make status`) and clear
the task; left alone, housekeeping starts the work again. **Expected skips**: the partition
is scored, there is no champion yet, or the champion was trained on the partition. A run that you
start or clear scores it again, with the present champion, and replaces what was predicted.
"""

from airflow.sdk import DAG, TriggerRule, chain

from include.use_cases.schema import UseCase
from plugins.operators.batch_predict import PredictPartitionOperator, ReportUnscoredOperator
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    with DAG(
        **dag_arguments(use_case, "batch_predict", __doc__),
        schedule=when(use_case, assets.features | assets.champion),
    ) as dag:
        predict = PredictPartitionOperator(
            task_id="predict_partition",
            use_case=use_case.name,
            inlets=[assets.features, assets.champion],
            outlets=[assets.predictions],
        )
        report = ReportUnscoredOperator(
            task_id="report_unscored",
            use_case=use_case.name,
            outlets=[assets.unscored],
            # Not ALL_SKIPPED: it skips after a failure too, and a skipped last task would make the
            # failed run green.
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        chain(predict, report)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__batch_predict"] = build_dag(_use_case)
