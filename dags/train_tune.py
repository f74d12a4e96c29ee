"""### Train and tune

Pins the lake versions of the training set and the configuration, tries every candidate's
configurations as mapped tasks, fits the best, scores it on the held-out partition beside a dummy
and a linear model, and registers it, packed and signed, as challenger.

**Runs** for each `<use case>.training_request`; by hand with a form or by REST, or by "materialize"
on the asset. The partition key is the as-of partition: "train on what was known up to 2013-06".
**Produces** `<use case>.candidate`.

**On failure**: the log says what is missing, such as labelled partitions. A killed trial is run
again with the same parameters; a training goes on without trials that fail, if enough complete
(`train.tuning.min_completed_share`); otherwise `finish_training` fails: look at the logs of the red
`run_trial` tasks, then start the Dag again. A training that fails does not count as asked for.
**Expected skips**: the same training (same data, same configuration) is done.
"""

from airflow.sdk import DAG, Param, TriggerRule, chain

from include.use_cases.schema import UseCase
from plugins.operators.train_tune import (
    CloseTrainingOperator,
    FinishTrainingOperator,
    PrepareTrainingOperator,
    RunTrialOperator,
)
from plugins.phases import TRAIN, TRUSTED
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    sources = [assets.training_request, assets.features]
    if use_case.labels is not None:
        sources.append(assets.labels)
    trials = Param(
        default=None,
        type=["null", "integer"],
        minimum=1,
        maximum=500,
        title="Trials per candidate",
        description=f"Empty: as configured ({use_case.train.tuning.trials}).",
    )
    with DAG(
        **dag_arguments(use_case, "train_tune", __doc__),
        schedule=when(use_case, assets.training_request),
        params={"trials": trials},
    ) as dag:
        prepare = PrepareTrainingOperator(
            task_id="prepare_training",
            use_case=use_case.name,
            queue=TRUSTED,
            inlets=sources,
        )
        run_trials = RunTrialOperator.partial(
            task_id="run_trial",
            use_case=use_case.name,
            queue=TRAIN,
            map_index_template="{{ task.candidate }} {{ task.number }}",
            run_id=prepare.output["run_id"],
        ).expand_kwargs(prepare.output)
        finish = FinishTrainingOperator(
            task_id="finish_training",
            use_case=use_case.name,
            queue=TRUSTED,
            prepare_task_id=prepare.task_id,
            trigger_rule=TriggerRule.NONE_SKIPPED,
            outlets=[assets.candidate],
        )
        close = CloseTrainingOperator(
            task_id="close_training", use_case=use_case.name, prepare_task_id=prepare.task_id
        ).as_teardown()
        chain(prepare, run_trials, finish, close)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__train_tune"] = build_dag(_use_case)
