"""The deploy Dag of a use case that wants an approval, and who may do what with a Dag."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dags.deploy import build_dag
from include.use_cases.loader import get
from include.use_cases.schema import Approval
from plugins.operators.approval import APPROVE_PROMOTION, AskForApprovalOperator
from plugins.phases import PHASES
from plugins.roles import ROLES
from tests.dags.test_policies import each_dag, longest_chain


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
