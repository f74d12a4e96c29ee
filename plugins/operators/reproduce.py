"""Operator that fits a registered model again and compares the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plugins.operators.base import PhaseOperator, errors_for_airflow, facts_of, unknown

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReproduceModelOperator(PhaseOperator):
    """Fit a model version again from its pins, and say whether both answer alike.

    A verdict of `different` or `impossible` is a result, not an error. Nothing is registered,
    promoted or published. **Idempotent**: reads only. **XCom**: the verdict with its figures, what
    differs in the environment, and what data is gone. **Retries**: when MLflow or the lake does not
    answer.

    :param version: which model version (templated)
    """

    takes_partition_key = False
    template_fields: Sequence[str] = ("version",)

    def __init__(self, *, version: str = "{{ params.version }}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version

    def execute(self, context: Context) -> dict[str, Any]:
        """Fit it again and compare."""
        from include.train_tune.reproduce import reproduce

        with errors_for_airflow():
            present = self.registry.versions(self.use_case)
            if self.version not in present:
                raise unknown("Model version", self.version, "the registry", present)
            done = reproduce(self.use_case, self.version, self.lake, self.registry)
        facts = facts_of(done)
        self.log.info("%s: %s", done.verdict, done.because)
        self.log.info("%s", facts)
        return facts
