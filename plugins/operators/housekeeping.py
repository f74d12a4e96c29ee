"""Operators that start again what was lost, and rebuild what a person names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import ConfigError, DataContractError
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.base import PhaseOperator, errors_for_airflow

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.housekeeping.lost import Lost

MOST_AT_ONCE = 50
"""Events that one look sends to a phase: each starts a run. The next look sends the rest."""
GIVE_UP_AFTER = 3
"""Failed runs of a key, one after the other, after which a person must look."""

REBUILT = {
    "validate_clean": "raw",
    "feature": "clean",
    "batch_predict": "features",
    "drift_monitor": "predictions",
}
"""Phases that can be rebuilt, and the table whose partitions they are made from."""


class SendLostEventsOperator(PhaseOperator):
    """Compare what is there with what should be, and send the events that were lost.

    Lost are events to a Dag that was paused, and those that a killed scheduler or triggerer had not
    acted upon. Nothing is sent for what is queued or running, for a Dag that is paused, or after
    three failures in a row. Also puts MLflow's aliases right, where they differ from the promotion
    ledger. **Idempotent**: what is not due any more is skipped by the run that was started.
    **XCom**: what was sent, why, and what was left. **Retries**: none; the next run looks again.
    """

    takes_partition_key = False

    @cached_property
    def api(self) -> AirflowApiHook:
        """Airflow's REST API."""
        return AirflowApiHook()

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at each phase."""
        from include.housekeeping.lost import find_lost

        sent: list[str] = []
        left: list[str] = []
        with errors_for_airflow():
            self._repair_aliases()
            hook = self.lake_hook
            for lost in find_lost(self.config, hook.lake, hook.landing, self.registry, self.ledger):
                self._send(lost, sent, left)
        for line in sent:
            self.log.info("Sent: %s", line)
        for line in left:
            self.log.info("Left: %s", line)
        if not sent and not left:
            raise AirflowSkipException("Nothing was lost.")
        return {"sent": sent[:MOST_AT_ONCE], "left": left[:MOST_AT_ONCE]}

    def _send(self, lost: Lost, sent: list[str], left: list[str]) -> None:
        dag_id = f"{self.use_case}__{lost.phase}"
        if self.api.is_paused(dag_id):
            left.append(f"{len(lost.because)} due for {dag_id}, which is paused")
            return
        active = self.api.active_keys(dag_id)
        count = 0
        for key, because in lost.because.items():
            if key in active:
                continue
            if self.api.failures_in_a_row(dag_id, key, GIVE_UP_AFTER) >= GIVE_UP_AFTER:
                left.append(f"{dag_id} {key}: failed {GIVE_UP_AFTER} times, clear it to try again")
                continue
            if count == MOST_AT_ONCE:
                left.append(f"more for {dag_id}, in the next run")
                return
            count += 1
            extra = {"because": because[:500], "by": "housekeeping"}
            self.api.create_event(f"{self.use_case}.{lost.asset}", key, extra)
            sent.append(f"{self.use_case}.{lost.asset} {key}: {because}")

    def _repair_aliases(self) -> None:
        from include.registry.client import CHAMPION, PREVIOUS

        promotion = self.ledger.current()
        if promotion is None:
            return
        aliases = self.registry.aliases(self.use_case)
        wanted = {CHAMPION: promotion.version, PREVIOUS: promotion.previous}
        if any(v is not None and aliases.get(name) != v for name, v in wanted.items()):
            self.log.warning("MLflow's aliases %s are put right: %s", aliases, wanted)
            self.registry.follow(self.use_case, promotion)


class RebuildOperator(PhaseOperator):
    """Start a run of one phase for each partition of a range, newest first.

    Airflow cannot backfill a Dag that is scheduled by assets. **Idempotent**: a retry starts each
    run once. **XCom**: what was started. **Retries**: when Airflow's REST API does not answer.

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
        api, run_id = AirflowApiHook(), context["dag_run"].run_id
        with errors_for_airflow():
            keys = self._keys()
            for key in keys:
                api.start_run(f"{self.use_case}__{self.phase}", key, f"{run_id}__{key}")
        self.log.info("Started %s: %s", self.phase, ", ".join(keys))
        return keys

    def _keys(self) -> list[str]:
        if self.phase not in REBUILT:
            raise ConfigError(f"phase must be one of {sorted(REBUILT)}, got {self.phase!r}.")
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
