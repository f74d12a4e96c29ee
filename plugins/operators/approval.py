"""Operators that ask a person about a promotion, and that promote or reject."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy.approval import APPROVE, REJECT, Decision, decide, question
from include.errors import ConfigError
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.base import PhaseOperator, errors_for_airflow, person_of, run_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.use_cases.schema import UseCase

APPROVE_PROMOTION = "approve_promotion"
"""Id of the task that asks."""


class AskForApprovalOperator(PhaseOperator, HITLOperator):
    """Ask a person whether the version of a verdict is to serve, and wait for the answer.

    It waits without a worker. Airflow answers "Reject" itself, without a person's name, when the
    time is over. Nobody relies on this task's state: `ApplyVerdictOperator` reads the recorded
    answer. **Idempotent**: cleared, it asks again. **XCom**: the answer, for the pages.
    **Retries**: when MLflow does not answer.

    :param verdict: what `RefitModelOperator` returned (templated)
    :param response_timeout: how long to wait for an answer
    """

    template_fields: Sequence[str] = ("verdict",)

    def __init__(self, *, verdict: Any, response_timeout: timedelta, **kwargs: Any) -> None:
        super().__init__(
            subject="",  # known when the verdict is
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=response_timeout,
            **kwargs,
        )
        self.verdict = verdict

    def execute(self, context: Context) -> Any:
        """Ask."""
        from include.deploy.apply import package_sha256

        with errors_for_airflow():
            digest = package_sha256(self.config, self.verdict["version"], self.registry)
            asked = question(self.config, self.verdict, digest)
        self.subject, self.body = asked.subject, asked.body
        self.log.info("%s\n%s", asked.subject, asked.body)
        return super().execute(context)


def ask_for_approval(use_case: UseCase, verdict: Any) -> AskForApprovalOperator:
    """Return the task that asks, for a use case with `deploy.approval`."""
    approval = use_case.deploy.approval
    if approval is None:
        raise ConfigError(f"{use_case.name}: nobody is to be asked without deploy.approval.")
    return AskForApprovalOperator(
        task_id=APPROVE_PROMOTION,
        use_case=use_case.name,
        verdict=verdict,
        response_timeout=approval.within,
        execution_timeout=timedelta(minutes=5),  # to ask; the wait is not part of it
    )


class ApplyVerdictOperator(PhaseOperator):
    """Promote or reject, as the verdict says, and as the person said who was asked.

    A promotion is an entry in the promotion ledger, and the registry's aliases follow. It is
    refused when another champion serves than the verdict compared with: an old run that is cleared
    does not bring its model back. Where a person is asked, their name stands in the entry. A "no",
    and no answer in time, are results: the version is rejected with these words, and this task and
    what follows are skipped. **Idempotent**: an entry that the run made is found again.
    **XCom**: version, champion. **Retries**: when MLflow, Airflow or the lake does not answer.

    :param verdict: what `CompareModelsOperator` or `RefitModelOperator` returned (templated)
    """

    template_fields: Sequence[str] = ("verdict",)

    def __init__(self, *, verdict: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verdict = verdict

    def execute(self, context: Context) -> dict[str, Any]:
        """Promote or reject."""
        from include.deploy.apply import promote, reject
        from include.deploy.verdicts import record

        verdict: dict[str, Any] = dict(self.verdict)
        version, who = verdict["version"], person_of(context)
        with errors_for_airflow():
            if not verdict["promote"]:
                champion = reject(self.config, version, verdict, self.registry, self.ledger)
                record(
                    self.config,
                    verdict,
                    self.lake,
                    self.registry,
                    self.writer(context),
                    promoted=False,
                )
                return {"version": version, "champion": champion}
            if (decision := self._decision(context, verdict)) is not None:
                verdict["reasons"] = [decision.words, *verdict["reasons"]]
                if not decision.approved:
                    self._turn_down(verdict, context)
                verdict["approval"] = {"by": decision.by, "at": decision.at}
                who = str(decision.by)
            champion = promote(
                self.config,
                version,
                verdict,
                self.registry,
                self.ledger,
                who=who,
                run_id=run_of(context["ti"]),
            )
            record(
                self.config, verdict, self.lake, self.registry, self.writer(context), promoted=True
            )
        return {"version": version, "champion": champion}

    def _decision(self, context: Context, verdict: dict[str, Any]) -> Decision | None:
        """Read the recorded answer; None where nobody is asked."""
        from include.deploy.apply import package_sha256

        asked = APPROVE_PROMOTION in self.upstream_task_ids
        if asked != (self.config.deploy.approval is not None):
            raise ConfigError(
                f"{self.use_case}: deploy.approval was added or removed since this run began. "
                "Nothing was promoted. Start the Dag again with the same partition key."
            )
        if not asked:
            return None
        run = context["dag_run"]
        recorded = AirflowApiHook().answer_to(run.dag_id, run.run_id, APPROVE_PROMOTION)
        digest = package_sha256(self.config, verdict["version"], self.registry)
        return decide(self.config, question(self.config, verdict, digest), recorded)

    def _turn_down(self, verdict: dict[str, Any], context: Context) -> None:
        """Record why nothing is promoted; a version that a person named keeps its verdict."""
        from include.deploy.apply import reject
        from include.deploy.verdicts import record

        versions = {verdict["evaluated_version"], verdict["version"]}
        for version in sorted(versions) if not verdict["overridden"] else ():
            reject(self.config, version, verdict, self.registry, self.ledger)
        record(self.config, verdict, self.lake, self.registry, self.writer(context), promoted=False)
        raise AirflowSkipException(f"Version {verdict['version']} is {verdict['reasons'][0]}.")
