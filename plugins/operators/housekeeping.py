"""Operator that sends lost events again."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.base import PhaseOperator, errors_for_airflow

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.housekeeping.lost import Lost

MOST_AT_ONCE = 50
"""Events per phase that one run sends: each starts a run. The next run sends the rest."""
REQUESTS = "requests"
"""What serving answered: one small file every two seconds, until they are put together here."""
GIVE_UP_AFTER = 3
"""Failed runs of a key, one after the other, after which a person must look."""


class SendLostEventsOperator(PhaseOperator):
    """Compare what is there with what should be, and send lost events again.

    Lost are events to a Dag that was paused, and those that a killed scheduler or triggerer had not
    acted upon. Nothing is sent for what is queued or running, for a Dag that is paused, or (except
    for ingestion) after three failures in a row. Also corrects MLflow's aliases where they differ
    from the promotion ledger, and puts the files of `requests` together. **Idempotent**: a run that
    was started for what is not due any more is skipped. **XCom**: what was sent, why, and what was
    left. **Retries**: none; the next run looks again.
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
            hook.lake.table(self.use_case, REQUESTS).compact()
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
            # Runs of ingestion are red also when a file was refused and all work was done.
            counts = lost.phase != "ingest_label"
            if counts and self.api.failures_in_a_row(dag_id, key, GIVE_UP_AFTER) >= GIVE_UP_AFTER:
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
            self.log.warning("MLflow's aliases %s are corrected: %s", aliases, wanted)
            self.registry.follow(self.use_case, promotion)
