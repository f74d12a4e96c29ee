"""Operator that fits what the gate accepted once more, with the holdout."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from plugins.operators.base import PhaseOperator, errors_for_airflow

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context


class RefitModelOperator(PhaseOperator):
    """Fit the accepted configuration on all labelled partitions, and register the refit.

    The verdict is passed on as it is with `deploy.refit: false`, and where a person named the
    version to promote. A refit that fails its checks is a result: the version that was judged is
    rejected with the reasons, and this task and the promotion are skipped. **Idempotent**: a
    version has one refit. **XCom**: the verdict, with the version that is to serve. **Retries**:
    when MLflow or the lake does not answer.

    :param verdict: what `CompareModelsOperator` returned (templated)
    """

    template_fields: Sequence[str] = ("verdict",)

    def __init__(self, *, verdict: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verdict = verdict
        self.made: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Fit, check, register."""
        from include.deploy.apply import reject
        from include.deploy.refit import refit
        from include.deploy.verdicts import record

        verdict: dict[str, Any] = dict(self.verdict)
        if verdict["overridden"] or not self.config.deploy.refit:
            self.log.info("No refit: version %s itself is to serve", verdict["version"])
            return verdict
        version = verdict["evaluated_version"]
        with errors_for_airflow(), tempfile.TemporaryDirectory(prefix="flywheel-") as folder:
            done = refit(self.config, version, self.lake, self.registry, Path(folder))
            if done.version is None:
                said = verdict | {"promote": False, "reasons": done.reasons}
                reject(self.config, version, said, self.registry, self.ledger)
                record(
                    self.config,
                    said,
                    self.lake,
                    self.registry,
                    self.writer(context),
                    promoted=False,
                )
        if done.version is None:
            raise AirflowSkipException(f"Version {version} is rejected: {'; '.join(done.reasons)}.")
        self.made = done.version
        return verdict | {
            "version": done.version,
            "reasons": [*verdict["reasons"], *done.reasons],
        }

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell Airflow's OpenLineage provider what was learned from, and which model came of it."""
        from plugins.lineage import training_lineage

        if self.made is None:
            return super().get_openlineage_facets_on_complete(task_instance)
        inputs = self.registry.load(self.use_case, self.made).facts["inputs"]
        uri = self.registry.tracking_uri
        return training_lineage(self.use_case, self.made, inputs, self.lake, uri)
