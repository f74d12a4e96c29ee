"""Operator that sends lost events again, and says what is out of date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
BACK_OFF_AFTER = 3
"""Failed runs of a key, one after the other, after which it is tried once a day only."""
BACK_OFF = timedelta(days=1)
REQUESTS = "requests"
"""Table of what serving answered: one small file every two seconds, compacted here."""


class SendLostEventsOperator(PhaseOperator):
    """Compare what is there with what should be: send lost events again, and say what is out of
    date.

    Lost are events to a Dag that was paused, and those that a killed scheduler or triggerer had not
    acted upon. Nothing is sent for what is queued or running, for a Dag that is paused, or (except
    for ingestion) within a day of the third failure in a row. What is out of date was made by
    another definition than today's: nothing is sent for it, because one edit would make a year of
    partitions again. Also corrects MLflow's aliases where they differ from the promotion ledger,
    and puts the files of `requests` together. **Idempotent**: a run that was started for what is
    not due any more is skipped. **XCom**: what was sent, why, what was left, and what is out of
    date. **Retries**: none; the next run looks again.
    """

    takes_partition_key = False

    @cached_property
    def api(self) -> AirflowApiHook:
        """Airflow's REST API."""
        return AirflowApiHook()

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at each phase."""
        from include.due.recorded import record_definitions
        from include.housekeeping.lost import find_lost
        from include.housekeeping.outdated import find_out_of_date
        from include.housekeeping.survey import Survey

        sent: list[str] = []
        left: list[str] = []
        with errors_for_airflow():
            self._repair_aliases()
            hook = self.lake_hook
            survey = Survey(self.config, hook.lake, hook.landing, self.ledger.current())
            record_definitions(self.config, survey.tables(), hook.lake, self.writer(context))
            for lost in find_lost(survey, self.registry):
                self._send(lost, sent, left)
            outdated = [one.told(self.config, hook.lake) for one in find_out_of_date(survey)]
            hook.lake.table(self.use_case, REQUESTS).compact()
        told = {"Sent": sent, "Left": left, "Out of date": outdated}
        for what, lines in told.items():
            for line in lines:
                self.log.info("%s: %s", what, line)
        if not any(told.values()):
            raise AirflowSkipException("Nothing was lost, and nothing is out of date.")
        return {
            "sent": sent[:MOST_AT_ONCE],
            "left": left[:MOST_AT_ONCE],
            "out_of_date": outdated[:MOST_AT_ONCE],
        }

    def _send(self, lost: Lost, sent: list[str], left: list[str]) -> None:
        dag_id = f"{self.use_case}__{lost.phase}"
        if self.api.is_paused(dag_id):
            left.append(f"{len(lost.because)} due for {dag_id}, which is paused")
            return
        active = self.api.active_keys(dag_id)
        waiting = [key for key in lost.because if key not in active]
        # Runs of ingestion are red also when a file was refused and all work was done.
        failing = self._failing(dag_id) if waiting and lost.phase != "ingest_label" else {}
        left += [
            f"{dag_id} {key}: failed {BACK_OFF_AFTER} times in a row, tried again after "
            f"{failing[key]:%Y-%m-%d %H:%M}, or when you clear it"
            for key in waiting
            if key in failing
        ]
        ready = [key for key in waiting if key not in failing]
        for key in ready[:MOST_AT_ONCE]:
            because = lost.because[key]
            extra = {"because": because[:500], "by": "housekeeping"}
            self.api.create_event(f"{self.use_case}.{lost.asset}", key, extra)
            sent.append(f"{self.use_case}.{lost.asset} {key}: {because}")
        if len(ready) > MOST_AT_ONCE:
            left.append(f"{len(ready) - MOST_AT_ONCE} more for {dag_id}, in the next run")

    def _failing(self, dag_id: str) -> dict[str, datetime]:
        """Return the keys that have failed too often of late, and when each is tried again."""
        now = datetime.now(UTC)
        failures = self.api.failures_in_a_row(dag_id)
        return {
            key: since + BACK_OFF
            for key, (count, since) in failures.items()
            if count >= BACK_OFF_AFTER and since + BACK_OFF > now
        }

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
