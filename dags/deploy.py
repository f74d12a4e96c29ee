"""### Deploy

Scores champion and challenger on the same rows. The challenger is promoted only if it is better
by more than chance and by at least `deploy.min_effect`, and in no slice clearly worse; the first
champion must beat the dummy alike. Then waits until the serving application answers with it.

**Runs** for each `<use case>.candidate`; by hand with a form or by REST. **Produces** `<use
case>.champion`.

**On failure**: `confirm_serving` fails when the serving application does not take up the champion
in 10 minutes; its `/health` says why. **Skipped is normal**: a challenger that is not better is
rejected with reasons, and `promote` and `confirm_serving` are skipped; without a challenger
everything is.
"""

from airflow.sdk import DAG, Param, chain, task

from include.use_cases.schema import UseCase
from plugins.operators.deploy import (
    ApplyVerdictOperator,
    CompareModelsOperator,
    ConfirmServingSensor,
)
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
        description="Empty: the version with the alias `challenger`.",
    )
    with DAG(
        **dag_arguments(use_case, "deploy", __doc__),
        schedule=when(use_case, assets.candidate),
        params={"version": version},
    ) as dag:
        compare = CompareModelsOperator(task_id="compare_models", use_case=use_case.name)
        branch = follow_verdict(compare.output)
        promote, reject = (
            ApplyVerdictOperator(task_id=name, use_case=use_case.name, verdict=compare.output)
            for name in ("promote", "reject")
        )
        confirm = ConfirmServingSensor(
            task_id="confirm_serving",
            use_case=use_case.name,
            version="{{ ti.xcom_pull('compare_models')['version'] }}",
            partition="{{ ti.xcom_pull('compare_models')['as_of'] }}",
            outlets=[assets.champion],
        )
        chain(compare, branch, [promote, reject])
        chain(promote, confirm)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__deploy"] = build_dag(_use_case)
