"""The words of an alert: what, since when, where to look, what to do, who owns it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from include.alerting.incidents import Incident, What
from include.use_cases.schema import UseCase

HEADLINES = {
    "rows_late": "rows are late",
    "labels_late": "labels are late",
    "phase_failed": "a phase has failed",
    "drift": "the data have drifted",
    "decay": "the model has become worse",
    "champion_old": "the champion is old",
    "serving_away": "serving does not answer",
    "serving_behind": "serving answers with another model",
    "promoted": "a new model serves",
}
"""By kind. Each has a page docs/runbooks/<kind>.md, but news, for which there is nothing to do."""
NEWS = {"promoted"}


@dataclass(frozen=True)
class Message:
    """What is sent.

    Attributes
    ----------
    subject : str
        One line.
    text : str
        The rest, plain text.
    """

    subject: str
    text: str

    @property
    def html(self) -> str:
        """The text as HTML, for mail."""
        return f"<pre>{escape(self.text)}</pre>"


def message_of(use_case: UseCase, incident: Incident, event: What, airflow_url: str) -> Message:
    """Write a message.

    Parameters
    ----------
    use_case : UseCase
        Whose.
    incident : Incident
        What it is about.
    event : {'opened', 'recovered'}
        What happened to it.
    airflow_url : str
        The address that people open.
    """
    condition = incident.condition
    over = "over: " if event == "recovered" else ""
    subject = f"[Flywheel] {use_case.name}: {over}{HEADLINES[condition.kind]}"
    lines = [condition.words, ""]
    if condition.lasts:
        lines.append(f"Seen first: {incident.opened_at:%Y-%m-%d %H:%M} UTC")
    if event == "recovered" and incident.ended_at is not None:
        lines.append(f"Seen no more: {incident.ended_at:%Y-%m-%d %H:%M} UTC")
    lines.append(f"Look: {airflow_url}/dags/{use_case.name}__{condition.dag}")
    if event == "opened" and condition.kind not in NEWS:
        lines.append(f"What to do: docs/runbooks/{condition.kind}.md")
    lines += [f"Owner: {use_case.owner}", f"Incident: {incident.id}"]
    return Message(subject, "\n".join(lines) + "\n")
