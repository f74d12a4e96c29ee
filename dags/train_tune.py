"""### Train and tune

Pins the lake versions of the training set, tries every candidate's configurations as mapped
tasks, fits the best, scores it on the held-out partition beside a dummy and a linear model, and
registers it, packed and signed, as challenger.

**Runs** for each `<use case>.training_request`; by hand with a form or by REST. The partition key
is the as-of partition: "train on what was known up to 2013-06"; without one, the latest.
**Produces** `<use case>.candidate`.

**On failure**: the log says what is missing, such as labelled partitions. A killed trial is run
again.
**Skipped is normal**: this very training (same data, same configuration) has been done.
"""

from airflow.sdk import DAG, Param, chain

from include.use_cases.schema import UseCase
from plugins.operators.train_tune import (
    FinishTrainingOperator,
    PrepareTrainingOperator,
    RunTrialOperator,
)
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    trials = Param(
        default=None,
        type=["null", "integer"],
        minimum=1,
        maximum=500,
        title="Trials per candidate",
        description=f"Empty: as configured ({use_case.train.tuning.trials}).",
    )
    again = Param(
        default=False,
        type="boolean",
        title="Train again",
        description="On: train even if this very training (same data and settings) is done.",
    )
    with DAG(
        **dag_arguments(use_case, "train_tune", __doc__),
        schedule=when(use_case, assets.training_request),
        params={"trials": trials, "again": again},
    ) as dag:
        prepare = PrepareTrainingOperator(task_id="prepare_training", use_case=use_case.name)
        run_trials = RunTrialOperator.partial(
            task_id="run_trial",
            use_case=use_case.name,
            map_index_template="{{ task.candidate }} {{ task.number }}",
            prepared=prepare.output["prepared"],
        ).expand_kwargs(prepare.output)
        finish = FinishTrainingOperator(
            task_id="finish_training",
            use_case=use_case.name,
            prepared=prepare.output["prepared"],
            outlets=[assets.candidate],
        )
        chain(prepare, run_trials, finish)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__train_tune"] = build_dag(_use_case)
