"""### Retrain trigger

Decides whether a training is due; nothing else does. Causes: there is no champion yet and every
partition that landed has its features; or a signal of the use case's `retrain.when` fires, such as
drift or decay in k of the last n partitions. Obstacles: the cooldown, the monthly budget, nothing
new to learn from, and others. Every decision is recorded with its reasons in the lake's table
`decisions`.

**Runs** for each partition of `<use case>.drift`; before there is a champion, for each partition of
`<use case>.unscored` and of labels that come after their features, also after one where
`retrain.when` has `new_labels`: each round of people is considered; by hand with a form or by REST
with a partition key. **Produces** `<use case>.training_request`, keyed by the as-of partition.

**On failure**: the log says which service did not answer. Bring it back (`make status`) and clear
the task; left alone, housekeeping starts the work again. **Expected skips**:
`request_training`, with the reasons, when no training is due; the whole run when the decision is up
to date.
"""

from airflow.sdk import DAG, Param, chain

from include.use_cases.schema import UseCase
from plugins.operators.retrain_trigger import DecideRetrainingOperator, RequestTrainingOperator
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    sources = [assets.drift, assets.unscored]
    news = assets.drift | assets.unscored
    if use_case.labels is not None:
        sources, news = [*sources, assets.labels], news | assets.labels
    ask = Param(
        default=False,
        type="boolean",
        title="Ask for a training",
        description="On: ask whatever the signals say; it is recorded as asked for by hand.",
    )
    with DAG(
        **dag_arguments(use_case, "retrain_trigger", __doc__),
        schedule=when(use_case, news),
        params={"ask": ask},
    ) as dag:
        decide = DecideRetrainingOperator(
            task_id="decide_retraining", use_case=use_case.name, inlets=sources
        )
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
