"""The deploy Dag of a use case that wants an approval, and who may do what with a Dag."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from dags.deploy import build_dag
from include.deploy.approval import question
from include.use_cases.loader import get
from include.use_cases.schema import Approval
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.approval import APPROVE_PROMOTION, AskForApprovalOperator
from plugins.operators.base import PhaseOperator
from plugins.operators.deploy import CompareModelsOperator, ConfirmServingOperator
from plugins.operators.refit import RefitModelOperator
from plugins.phases import PHASES
from plugins.roles import ROLES
from tests.dags.conftest import DAGS
from tests.dags.test_policies import each_dag, longest_chain
from tests.support import daily
from tests.support.dag_runs import Ran, dag_runs


@pytest.fixture
def dag():
    known = get("weather_regimes")
    approval = Approval(approvers=["ann"], within=timedelta(hours=30))
    deploy = known.deploy.model_copy(update={"approval": approval})
    return build_dag(known.model_copy(update={"deploy": deploy}))


def test_a_person_is_asked_between_the_refit_and_the_promotion(dag):
    """What was approved is the package that serves."""
    ask = dag.get_task(APPROVE_PROMOTION)
    assert isinstance(ask, AskForApprovalOperator)
    assert (ask.upstream_task_ids, ask.downstream_task_ids) == ({"refit_model"}, {"promote"})
    assert ask.response_timeout == timedelta(hours=30)
    assert ask.pool == "deploy"
    assert ask.retries == PHASES["deploy"].retries


def test_the_run_lasts_as_long_as_an_answer_may_take(dag):
    assert longest_chain(dag) + timedelta(hours=30) <= dag.dagrun_timeout


def test_without_the_option_nobody_is_asked(dag_bag):
    for _, _, phase, dag in each_dag(dag_bag):
        assert not dag.has_task(APPROVE_PROMOTION)
        assert phase != "deploy" or dag.get_task("promote").upstream_task_ids == {"refit_model"}


def test_each_dag_lets_the_roles_of_its_phase_in_and_no_others(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        allowed = {name: dict(DAGs=set(of[phase])) for name, of in _dags().items() if phase in of}
        assert dag.access_control == allowed, (
            f"{dag_id}: take access_control from plugins.wheel.dag_arguments"
        )


def _dags():
    return {name: role.dags for name, role in ROLES.items()}


def test_the_roles_name_phases_that_there_are():
    named = {phase for role in ROLES.values() for phase in role.dags}
    assert named <= {*PHASES, "label"}, "a phase has another name in plugins.phases"


def test_only_approvers_may_answer_in_deploy_dags_and_tasks_start_no_deploy():
    answering = {n for n, role in ROLES.items() if ("can_edit", "HITL Detail") in role.may}
    assert answering == {"labeller", "approver"}
    editing = {n for n, role in ROLES.items() if ("can_edit", "DAGs") in role.may}
    assert not answering & editing, "they could answer in every Dag"
    assert {n for n in answering if "deploy" in ROLES[n].dags} == {"approver"}
    assert "deploy" not in ROLES["housekeeping"].dags
    assert "housekeeping" not in editing


# Runs

VERDICT = {
    "version": "2", "evaluated_version": "1", "overridden": False, "promote": True, "as_of": "d",
    "reasons": ["dummy: surely better"], "champion_version": None, "metric": "roc_auc", "rows": 60,
    "holdout_partition": "2024-01-03", "challenger": 0.8,
}  # fmt: skip


@pytest.fixture
def run_with(tmp_path, monkeypatch, airflow_database):
    """Run the Dag of a use case that wants an approval: `run_with(what Airflow has recorded)`.

    The question counts as asked; comparing, refitting, writing and serving are doubles.
    """
    daily.write_use_case(tmp_path, approvers="ann")
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    bag = DagBag(str(DAGS / "deploy.py"))
    done = {"promote": [], "reject": [], "recorded": []}
    for operator, result in (
        (CompareModelsOperator, VERDICT),
        (RefitModelOperator, VERDICT),
        (AskForApprovalOperator, None),
        (ConfirmServingOperator, []),
    ):
        monkeypatch.setattr(operator, "execute", lambda self, context, result=result: result)
    monkeypatch.setattr(
        "include.deploy.apply.promote", lambda *given, **more: done["promote"].append(more["who"])
    )
    monkeypatch.setattr(
        "include.deploy.apply.reject", lambda *given, **more: done["reject"].append(given[1])
    )
    monkeypatch.setattr(
        "include.deploy.verdicts.record",
        lambda *given, promoted: done["recorded"].append((given[1]["evaluated_version"], promoted)),
    )
    monkeypatch.setattr("include.deploy.apply.package_sha256", lambda *given: "f" * 64)
    monkeypatch.setattr(PhaseOperator, "registry", None)
    asked = question(get(daily.NAME), VERDICT, "f" * 64)

    def run(**answer: Any) -> tuple[Ran, dict[str, list[str]]]:
        recorded = {"subject": asked.subject, "body": asked.body, **answer} if answer else None
        monkeypatch.setattr(AirflowApiHook, "answer_to", lambda self, *run: recorded)
        with dag_runs(bag) as runs:
            return runs(f"{daily.NAME}__deploy", key="2024-01-03"), done

    return run


def answered(option: str) -> dict[str, Any]:
    person = {"id": "1", "name": "ann"}
    return {"responded_at": "2026-11-30", "responded_by_user": person, "chosen_options": [option]}


def test_an_approval_lets_the_run_go_on(run_with):
    ran, done = run_with(**answered("Approve"))
    assert (ran.state, ran.states["promote"]) == ("success", ["success"])
    assert ran.states["confirm_serving"] == ["success"]
    assert done == {"promote": ["ann"], "reject": [], "recorded": [("1", True)]}


def test_a_rejection_skips_what_follows_and_the_run_is_green(run_with):
    ran, done = run_with(**answered("Reject"))
    assert (ran.state, ran.states["promote"]) == ("success", ["skipped"])
    assert ran.states["confirm_serving"] == ["skipped"]
    assert done == {"promote": [], "reject": ["1", "2"], "recorded": [("1", False)]}


def test_a_question_that_only_counts_as_asked_makes_the_run_red(run_with):
    ran, done = run_with()
    assert (ran.state, ran.states["promote"]) == ("failed", ["failed"])
    assert ran.states[APPROVE_PROMOTION] == ["success"]
    assert ran.states["confirm_serving"] == ["upstream_failed"]
    assert "has no recorded answer" in ran.errors[0]
    assert done == {"promote": [], "reject": [], "recorded": []}
