"""### Deploy

Scores champion and challenger on the same rows. The challenger is promoted only if it is better by
more than chance (`deploy.confidence`) and by at least `deploy.min_effect`, and in no slice worse by
more than `deploy.slices.max_drop`. The first champion must beat the dummy model by the same rules,
without slices. Then waits until the serving application answers with it.

**Runs** for each `<use case>.candidate`; by hand with a form or by REST with the as-of partition as
partition key, or by "materialize" on the champion. **Produces** `<use case>.champion`, one event
for each partition that the new champion has to score.

**On failure**: `promote` is refused when another champion serves than the verdict compared with:
start the Dag again with the same key. `confirm_serving` fails when the serving application does not
load the champion within an hour; its `/health` says why; clear the task afterwards. To roll back,
name the model version and the reason in the form, with the version's as-of partition as key.
**Expected skips**: a challenger that is not better is rejected with reasons, and `promote` and what
follows are skipped.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, chain, task

from include.use_cases.schema import UseCase
from plugins.operators.deploy import (
    AnnounceChampionOperator,
    ApplyVerdictOperator,
    CompareModelsOperator,
    ConfirmServingOperator,
)
from plugins.phases import TRUSTED
from plugins.wheel import assets_of, dag_arguments, use_cases, when


@task.branch(task_id="follow_verdict")
def follow_verdict(verdict: dict) -> str:
    """Follow the verdict: promote or reject."""
    return "promote" if verdict["promote"] else "reject"


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
        description="A rollback, for example: the reason is recorded with your name. "
        "Needs a model version. Empty: the verdict decides.",
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
        promote, reject = (
            ApplyVerdictOperator(
                task_id=name, use_case=use_case.name, queue=TRUSTED, verdict=compare.output
            )
            for name in ("promote", "reject")
        )
        confirm = ConfirmServingOperator(
            task_id="confirm_serving",
            use_case=use_case.name,
            version="{{ ti.xcom_pull('compare_models')['version'] }}",
            timeout=timedelta(hours=1),
        )
        announce = AnnounceChampionOperator.partial(
            task_id="announce_champion", use_case=use_case.name, outlets=[assets.champion]
        ).expand(partitions=confirm.output)
        chain(compare, branch, [promote, reject])
        chain(promote, confirm, announce)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__deploy"] = build_dag(_use_case)
