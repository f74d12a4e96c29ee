"""### Train and tune

Pins the lake versions of the training set and the configuration, searches the candidates'
configurations in rounds of mapped tasks, fits the one that is kept, scores it on the held-out
partitions beside a dummy and a linear model, and registers it, packed and signed, as challenger.

The same data and configuration give the same search and model: each later round is drawn at once,
from all results before it. The simplest within one standard error is kept (docs/adr/0027).

**Runs** for each `<use case>.training_request`; by hand with a form or by REST, or by "materialize"
on the asset. The partition key is the as-of partition: "train on what was known up to 2013-06".
**Produces** `<use case>.candidate`.

**On failure**: the log says what is missing, such as labelled partitions. A killed trial is run
again with the same parameters; a training goes on without trials that fail, if enough complete
(`train.tuning.min_completed_share`); otherwise `finish_training` fails: look at the logs of the red
`run_trial` tasks, then start the Dag again. A training that fails does not count as asked for.
**Expected skips**: the same training (same data, same configuration) is done, or a round is empty.
"""

from typing import Any

from airflow.sdk import DAG, BaseOperator, Param, TriggerRule, chain

from include.modelling.rounds import ROUNDS
from include.use_cases.schema import UseCase
from plugins.operators.train_tune import (
    CloseTrainingOperator,
    FinishTrainingOperator,
    PrepareTrainingOperator,
)
from plugins.operators.trials import DrawRoundOperator, RunTrialOperator
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
            task_id="prepare_training", use_case=use_case.name, queue=TRUSTED, inlets=sources
        )

        def run(drawn: BaseOperator, suffix: str = "") -> Any:
            return RunTrialOperator.partial(
                task_id=f"run_trial{suffix}",
                use_case=use_case.name,
                queue=TRAIN,
                map_index_template="{{ task.trial.candidate }} {{ task.trial.number }}",
                run_id=prepare.output["run_id"],
            ).expand(trial=drawn.output)

        steps = [prepare, run(prepare)]
        rounds = [(prepare.task_id, "run_trial")]
        for number in range(2, ROUNDS + 1):
            draw = DrawRoundOperator(
                task_id=f"draw_round_{number}",
                use_case=use_case.name,
                round_number=number,
                rounds=list(rounds),
                # A trial may have failed, or the round before be empty. It skips or fails itself.
                trigger_rule=TriggerRule.ALL_DONE,
            )
            steps += [draw, run(draw, f"_{number}")]
            rounds.append((draw.task_id, f"run_trial_{number}"))
        finish = FinishTrainingOperator(
            task_id="finish_training",
            use_case=use_case.name,
            queue=TRUSTED,
            rounds=rounds,
            trigger_rule=TriggerRule.ALL_DONE,  # as above
            outlets=[assets.candidate],
        )
        close = CloseTrainingOperator(
            task_id="close_training", use_case=use_case.name, prepare_task_id=prepare.task_id
        ).as_teardown()
        chain(*steps, finish, close)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__train_tune"] = build_dag(_use_case)
