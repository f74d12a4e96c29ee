"""Operator that tells people what is wrong, once."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from include.errors import FlywheelError, ServiceUnavailable
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.hooks.serving import ServingHook
from plugins.operators.base import PhaseOperator, errors_for_airflow
from plugins.phases import PHASES

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.alerting.conditions import Facts
    from include.alerting.incidents import Incident, What
    from include.overview.card import Card

TRIES, BETWEEN_S = 3, 5.0
"""Serving is away when it does not answer so often: a restart takes some seconds."""


class RaiseAlertsOperator(PhaseOperator):
    """Look for what is wrong, write it into the table `incidents`, and send what was not sent yet.

    An incident is told when it begins and when it is over, to each channel whose Airflow connection
    exists. **Idempotent**: what was delivered is written down, channel by channel. **XCom**: what
    is open, what was sent, and which channels failed. **Retries**: none; the next run looks again,
    and sends what a channel did not take. A channel that fails makes this task red, keeps the
    others from nothing, and nothing waits for it.
    """

    takes_partition_key = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, write, send."""
        from include.alerting.conditions import conditions
        from include.alerting.incidents import due, incidents_of, look
        from plugins.hooks.alerts import channels

        sent: list[str] = []
        failed: dict[str, str] = {}
        with errors_for_airflow():
            writer = self.writer(context)
            facts = self._facts()
            seen = conditions(facts, self.config.expect)
            for change in look(self.config, self.lake, seen, facts.now, writer):
                self.log.info("%s: %s", change.event, change.condition.words)
            incidents = incidents_of(self.lake, self.use_case)
            for channel, send in channels().items():
                for incident, event in due(incidents, channel, facts.now):
                    problem = self._sent(send, channel, incident, event, writer)
                    if problem is not None:
                        failed[channel] = problem
                        break  # the others wait as long, and the next run tries again
                    sent.append(f"{event} {incident.id} to {channel}")
            if failed:
                words = "; ".join(f"{name}: {why}" for name, why in failed.items())
                raise ServiceUnavailable(
                    f"Alerts were not taken by {words}. Correct the Airflow connection; the next "
                    "run sends them again."
                )
        return {
            "open": [one.id for one in incidents if one.ended_at is None],
            "sent": sent,
        }

    def _sent(
        self, send: Any, channel: str, incident: Incident, event: What, writer: Any
    ) -> str | None:
        """Send and write it down; returns what went wrong, without secrets."""
        from include.alerting.incidents import Event, add
        from include.alerting.messages import message_of

        url = conf.get("api", "base_url", fallback="") or ""
        message = message_of(self.config, incident, event, url.rstrip("/"))
        try:
            send(message, self.config.owner)
        except FlywheelError as error:
            return str(error)
        except Exception as error:  # whatever a provider raises; its words may hold the address
            return type(error).__name__
        now = datetime.now(UTC)
        done = Event(incident.id, incident.condition, "delivered", now, channel, event)
        add(self.config, self.lake, done, writer)
        return None

    def _facts(self) -> Facts:
        from include.alerting.conditions import Facts
        from include.overview.card import card_of

        card = card_of(self.config, self.lake, self.lake_hook.settings.verify_key)
        served, unreachable = self._served(card)
        return Facts(datetime.now(UTC), card, self._failing(), served, unreachable)

    def _failing(self) -> dict[str, list[str]]:
        api = AirflowApiHook()
        prefix = f"{self.use_case}__"
        phases = {dag.removeprefix(prefix): dag for dag in api.dags_with_failed_runs(prefix)}
        return {
            phase: sorted(api.failures_in_a_row(dag))
            for phase, dag in phases.items()
            if phase in PHASES and phase != "housekeeping"
        }

    def _served(self, card: Card) -> tuple[str | None, str | None]:
        if card.champion is None:
            return None, None
        hook = ServingHook()
        for attempt in range(TRIES):
            try:
                return hook.served_version(self.use_case), None
            except ServiceUnavailable as error:
                problem = str(error).partition(": ")[0]  # what comes then was sent by the server
                if attempt < TRIES - 1:
                    time.sleep(BETWEEN_S)
        return None, problem
