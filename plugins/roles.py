"""Who may do what in Airflow: one table, from which the first job of a cluster makes the roles.

The permissions are those of the FAB auth manager; what a role may do with single Dags each Dag
declares (`access_control`), by its phase. The role `Admin` is FAB's own. Nothing of Airflow is
imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.due.stages import REBUILT

ADMIN = "Admin"
"""FAB's own role, which may do everything."""

Permission = tuple[str, str]
"""An action and what it is done to, in FAB's words."""

ANNOTATE = "annotate"
"""The phase whose Dags ask people for labels."""

_READ, _EDIT, _CREATE, _MENU = "can_read", "can_edit", "can_create", "menu_access"

_OWN_ACCOUNT = (
    *((action, what) for action in (_READ, _EDIT) for what in ("My Password", "My Profile")),
    (_READ, "Website"),
)
_READ_RUNS = tuple((_READ, what) for what in ("DAG Runs", "DAG Versions", "Task Instances"))
_READ_ANSWERS = ((_READ, "HITL Detail"), (_MENU, "HITL Detail"))
_READ_ALL = (
    *_OWN_ACCOUNT,
    *_READ_RUNS,
    *_READ_ANSWERS,
    *(
        (_READ, what)
        for what in (
            "DAGs", "DAG Code", "DAG Dependencies", "DAG Warnings", "Assets", "Asset Aliases",
            "Backfills", "Cluster Activity", "ImportError", "Jobs", "Pools", "Task Logs", "XComs",
        )
    ),
    *(
        (_MENU, what)
        for what in (
            "Assets", "Browse", "Cluster Activity", "DAG Dependencies", "DAG Runs", "DAGs", "Docs",
            "Documentation", "Jobs", "Task Instances",
        )
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Role:
    """What a role may do.

    :param purpose: in words
    :param may: permissions for everything of their kind
    :param dags: actions on the Dags of single phases, beyond `may`, by phase
    """

    purpose: str
    may: tuple[Permission, ...]
    dags: Mapping[str, frozenset[str]] = field(default_factory=dict)


ROLES = {
    "viewer": Role("reads Dags, runs, logs and assets", _READ_ALL),
    "operator": Role(
        "starts, clears and pauses; answers no question",
        (
            *_READ_ALL,
            (_EDIT, "DAGs"),
            (_CREATE, "DAG Runs"),
            (_EDIT, "DAG Runs"),
            # Airflow needs it to clear a task. Its owner can mark an approval as successful too:
            # the promotion reads the recorded answer instead.
            (_EDIT, "Task Instances"),
            (_CREATE, "Assets"),
        ),
    ),
    "labeller": Role(
        "answers the questions of annotate Dags, and sees no others",
        (*_OWN_ACCOUNT, *_READ_RUNS, *_READ_ANSWERS, (_EDIT, "HITL Detail")),
        {ANNOTATE: frozenset({_READ, _EDIT})},
    ),
    "approver": Role(
        "reads everything, and answers the approvals of deploy Dags",
        (*_READ_ALL, (_EDIT, "HITL Detail")),
        {"deploy": frozenset({_EDIT})},
    ),
    "housekeeping": Role(
        "the account of tasks: sends events, starts what is rebuilt, reads answers",
        (
            *((_READ, what) for what in ("DAGs", "DAG Runs", "HITL Detail", "Website")),
            (_READ, "Task Instances"),  # how often a question was asked: earlier answers are kept
            *((_READ, what) for what in ("Assets", "Asset Aliases")),  # Airflow asks for both
            (_CREATE, "Assets"),
            (_CREATE, "DAG Runs"),
        ),
        # Not of every Dag: a worker's login must not start a deploy Dag with an override.
        {phase: frozenset({_EDIT}) for phase in sorted(REBUILT)},
    ),
}
"""Each role by its name. A person may have several."""


def access_control(phase: str) -> dict[str, dict[str, set[str]]]:
    """Return what a Dag of a phase allows to whom, as Airflow's `access_control` takes it.

    >>> access_control("deploy")
    {'approver': {'DAGs': {'can_edit'}}}
    """
    return {
        name: {"DAGs": set(role.dags[phase])} for name, role in ROLES.items() if phase in role.dags
    }
