"""### Retrain trigger

Alone decides that a training is due, the first one included: no champion yet, or k of the last n
windows show drift or decay, or the champion is old; never within the cooldown, over the monthly
budget, or with nothing new to learn from. Every decision is recorded with its reasons in the
lake's `decisions` table.

**Runs** for each `<use case>.drift`; by hand with a form or by REST. **Produces** `<use
case>.training_request`, keyed by the as-of partition.

**Skipped is normal**: `request_training` is skipped, with the reasons, when no training is due.
"""

from airflow.sdk import DAG, Param, chain

from include.use_cases.schema import UseCase
from plugins.operators.retrain_trigger import DecideRetrainingOperator, RequestTrainingOperator
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    ask = Param(
        default=False,
        type="boolean",
        title="Ask for a training",
        description="On: ask whatever the signals say; it is recorded as asked for by hand.",
    )
    with DAG(
        **dag_arguments(use_case, "retrain_trigger", __doc__),
        schedule=when(use_case, assets.drift),
        params={"ask": ask},
    ) as dag:
        decide = DecideRetrainingOperator(task_id="decide_retraining", use_case=use_case.name)
        request = RequestTrainingOperator(
            task_id="request_training",
            use_case=use_case.name,
            decision=decide.output,
            outlets=[assets.training_request],
        )
        chain(decide, request)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__retrain_trigger"] = build_dag(_use_case)
