"""Operator that runs a phase again for a range of partitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, DataContractError
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.base import PhaseOperator, errors_for_airflow

if TYPE_CHECKING:
    from airflow.sdk import Context

REBUILT = {
    "validate_clean": "raw",
    "feature": "clean",
    "batch_predict": "features",
    "drift_monitor": "predictions",
}
"""Phases that can be rebuilt, and the table that each reads."""


class RebuildOperator(PhaseOperator):
    """Start a run of one phase for each partition of a range, newest first.

    Airflow cannot backfill a Dag that is scheduled by assets. **Idempotent**: a retry starts each
    run once; a cleared run starts them all again. **XCom**: what was started. **Retries**: when
    Airflow's REST API does not answer.

    :param phase: which phase (templated)
    :param first: first partition key (templated)
    :param last: last partition key (templated)
    :param most: how many partitions at most, from the newest on (templated)
    """

    takes_partition_key = False
    template_fields: Sequence[str] = ("phase", "first", "last", "most")

    def __init__(
        self,
        *,
        phase: str = "{{ params.phase }}",
        first: str = "{{ params.first }}",
        last: str = "{{ params.last }}",
        most: str = "{{ params.most }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phase = phase
        self.first = first
        self.last = last
        self.most = most

    def execute(self, context: Context) -> list[str]:
        """Start the runs."""
        run = context["dag_run"]
        cleared = f"__{run.clear_number}" if run.clear_number else ""
        api, run_id = AirflowApiHook(), f"{run.run_id}{cleared}"
        with errors_for_airflow():
            keys = self._keys()
            for key in keys:
                api.start_run(f"{self.use_case}__{self.phase}", key, f"{run_id}__{key}")
        self.log.info("Started %s: %s", self.phase, ", ".join(keys))
        return keys

    def _keys(self) -> list[str]:
        if self.phase not in REBUILT:
            raise ConfigError(
                f"{self.dag_id}: phase must be one of {sorted(REBUILT)}, got {self.phase!r}. Start "
                "it again with one of these."
            )
        first, last = self.checked_key(self.first), self.checked_key(self.last)
        table = self.lake.table(self.use_case, REBUILT[self.phase])
        present = table.partitions()
        keys = [key for key in reversed(present) if first <= key <= last][: int(self.most)]
        if not keys:
            raise DataContractError(
                f"{table.name} has no partition from {first} to {last}; it has "
                f"{', '.join(present) or 'none'}. Name a range of these."
            )
        return keys
