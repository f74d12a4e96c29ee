"""### Deploy

Judges a challenger on the newest labelled rows, which it has not learned from. It is promoted when
nothing serves yet, when its *configuration* is surely better than the champion's, or when it is
*fresher*: it knows newer data, and surely loses less than `deploy.margin`. docs/operations.md,
*Promoted*, has the whole rule; docs/decisions.md says how often it is wrong. What is accepted is
fitted again on all labelled partitions (`deploy.refit`): this refit is a model version of its own,
and serves, which the Dag waits for. With `deploy.approval` a person is asked about it before.

**Runs** for each `<use case>.candidate`; by hand with a form or by REST with the as-of partition as
partition key, or by "materialize" on the champion. **Produces** `<use case>.champion`, one event
for each partition that the new champion has to score.

**On failure**: `promote` is refused when another champion serves than the verdict compared with:
start the Dag again with the same key. `confirm_serving` fails when the serving application does not
load the champion within an hour; its `/health` says why; clear the task afterwards. To roll back,
name the model version and the reason in the form, with the version's as-of partition as key.
**Expected skips**: a challenger that fails is rejected with reasons, and what follows is skipped;
so it is where a refit fails its checks, or nobody approves it in time. Logs say why.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, chain, task

from include.use_cases.schema import UseCase
from plugins.operators.approval import ApplyVerdictOperator, ask_for_approval
from plugins.operators.deploy import (
    AnnounceChampionOperator,
    CompareModelsOperator,
    ConfirmServingOperator,
)
from plugins.operators.refit import RefitModelOperator
from plugins.phases import PHASES, TRUSTED
from plugins.wheel import assets_of, dag_arguments, use_cases, when


@task.branch(task_id="follow_verdict")
def follow_verdict(verdict: dict) -> str:
    """Follow the verdict: fit again and promote, or reject."""
    return "refit_model" if verdict["promote"] else "reject"


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    version = Param(
        default=None,
        type=["null", "string"],
        pattern=r"^\d+$",
        title="Model version",
        description="Empty: the newest version that was trained as of the partition key.",
    )
    override = Param(
        default=None,
        type=["null", "string"],
        minLength=3,
        title="Promote whatever the verdict is, because",
        description="A rollback, for example: the reason is recorded. Needs a model version.",
    )
    with DAG(
        **dag_arguments(use_case, "deploy", __doc__),
        schedule=when(use_case, assets.candidate),
        params={"version": version, "override": override},
    ) as dag:
        compare = CompareModelsOperator(
            task_id="compare_models", use_case=use_case.name, inlets=[assets.candidate]
        )
        branch = follow_verdict(compare.output)
        refit = RefitModelOperator(
            task_id="refit_model",
            use_case=use_case.name,
            queue=TRUSTED,
            verdict=compare.output,
            execution_timeout=PHASES["train_tune"].task_timeout,  # a fit, as there
        )
        promote, reject = (
            ApplyVerdictOperator(
                task_id=name, use_case=use_case.name, queue=TRUSTED, verdict=decided.output
            )
            for name, decided in (("promote", refit), ("reject", compare))
        )
        confirm = ConfirmServingOperator(
            task_id="confirm_serving",
            use_case=use_case.name,
            version="{{ ti.xcom_pull('refit_model')['version'] }}",
            timeout=timedelta(hours=1),
        )
        announce = AnnounceChampionOperator.partial(
            task_id="announce_champion", use_case=use_case.name, outlets=[assets.champion]
        ).expand(partitions=confirm.output)
        chain(compare, branch, [refit, reject])
        chain(refit, promote, confirm, announce)
        if use_case.deploy.approval:
            chain(refit, ask_for_approval(use_case, refit.output), promote)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__deploy"] = build_dag(_use_case)
