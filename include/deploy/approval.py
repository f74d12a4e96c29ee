"""What a person is asked before a promotion, and which recorded answer counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.errors import DataContractError
from include.use_cases.schema import Approval, UseCase

APPROVE, REJECT = "Approve", "Reject"
_FIGURES = ("challenger", "champion", "dummy", "linear", "effect", "confidence_low")


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes
    ----------
    subject : str
        One line.
    body : str
        Markdown: what would serve, the reasons and the figures.
    """

    subject: str
    body: str


@dataclass(frozen=True)
class Decision:
    """What was decided.

    Attributes
    ----------
    approved : bool
        The answer.
    by : str or None
        Who gave it, by the name at Airflow; None where nobody did in time.
    at : str
        When, ISO.
    words : str
        All of it in one sentence.
    """

    approved: bool
    by: str | None
    at: str
    words: str


def question(use_case: UseCase, verdict: Mapping[str, Any], package_sha256: str) -> Question:
    """Ask whether a version is to serve.

    The question names the package, so an answer is to this package and to no other.

    Parameters
    ----------
    use_case : UseCase
        Whose model; `deploy.approval` must be set.
    verdict : mapping
        The verdict with `version`, `evaluated_version` and `reasons`, as it travels between tasks.
    package_sha256 : str
        Of the manifest of the version that is to serve.
    """
    version, evaluated = verdict["version"], verdict["evaluated_version"]
    refit = "" if version == evaluated else f" (version {evaluated}, fitted again)"
    instead = verdict["champion_version"]
    what = f"instead of version {instead}" if instead else "as the first model"
    figures = [
        f"| {name.replace('_', ' ')} | {verdict[name]:.4g} |"
        for name in _FIGURES
        if verdict.get(name) is not None
    ]
    lines = [
        f"Version **{version}** of `{use_case.name}`{refit} would serve {what}.",
        "",
        *(f"- {' '.join(reason.split())}" for reason in verdict["reasons"]),
        "",
        f"| {verdict['metric']}, {verdict['rows']} rows up to {verdict['holdout_partition']} | |",
        "|---|---|",
        *figures,
        "",
        f"Package: `{package_sha256}`",
        "",
        f"May answer: {', '.join(_approval(use_case).approvers)}. Without an answer within "
        f"{_hours(use_case)} hours nothing is promoted.",
    ]
    return Question(f"Promote version {version} of {use_case.name}?", "\n".join(lines))


def decide(use_case: UseCase, asked: Question, recorded: Mapping[str, Any] | None) -> Decision:
    """Read the answer that Airflow recorded; the state of the task that asked says nothing.

    Who may edit task instances can mark that task as successful, but cannot write an answer.

    Parameters
    ----------
    use_case : UseCase
        Says who may answer.
    asked : Question
        What is to be approved, made anew from the verdict and the package.
    recorded : mapping or None
        Airflow's record of the question and its answer (`hitlDetails` of its REST API); None where
        nothing was ever asked.

    Raises
    ------
    DataContractError
        There is no answer, it is to another question, or who answered may not.
    """
    again = "Nothing was promoted. Clear the task `approve_promotion` to ask again."
    subject = f"{use_case.name}: {asked.subject!r}"
    if recorded is None or recorded["responded_at"] is None:
        raise DataContractError(
            f"{subject} must be answered by a person, and has no recorded answer: the task that "
            f"asks was marked as successful, or never ran. {again}"
        )
    if (recorded["subject"], recorded["body"]) != (asked.subject, asked.body):
        raise DataContractError(
            f"{subject}: the recorded answer must be to this verdict on this package, it is to "
            f"another question: {recorded['subject']!r}. {again}"
        )
    at, person = str(recorded["responded_at"]), recorded["responded_by_user"]
    if person is None:  # Airflow wrote the default when the time was over
        words = f"not approved: nobody answered within {_hours(use_case)} hours"
        return Decision(False, None, at, words)
    by, allowed = str(person["name"]), _approval(use_case).approvers
    if by not in allowed:
        raise DataContractError(
            f"{subject} must be answered by one of {', '.join(allowed)} (deploy.approval.approvers "
            f"in its use_case.yaml), it was by {by} at {at}. {again}"
        )
    approved = recorded["chosen_options"] == [APPROVE]
    return Decision(approved, by, at, f"{'approved' if approved else 'rejected'} by {by} at {at}")


def _approval(use_case: UseCase) -> Approval:
    approval = use_case.deploy.approval
    if approval is None:
        raise DataContractError(
            f"{use_case.name}: an approval is asked for, and deploy.approval is not in its "
            "use_case.yaml any more. Nothing was promoted. Start the Dag again."
        )
    return approval


def _hours(use_case: UseCase) -> int:
    return int(_approval(use_case).within.total_seconds() // 3600)
