"""Links from a task in Airflow's pages to what it made elsewhere.

Airflow asks for a link when the task has ended, in the task's own process: the operator has noted
there what it made.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from plugins.hooks.mlflow import MlflowHook

PAGES = "/flywheel"
"""Where Airflow's API server answers for Flywheel's pages; paths of pictures in the lake follow."""


class MlflowRunLink(BaseOperatorLink):
    """To the MLflow run of a training."""

    name = "MLflow run"
    page = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the run's address, '' where the task made none."""
        run_id = getattr(operator, "mlflow_run_id", None)
        if not run_id:
            return ""
        return f"{MlflowHook(operator.mlflow_conn_id).tracking_uri}/#/runs/{run_id}{self.page}"


class DriftReportLink(MlflowRunLink):
    """To the drift report of a partition, kept with an MLflow run."""

    name = "Drift report"
    page = "/artifactPath/drift.html"


class ValidationResultLink(BaseOperatorLink):
    """To the counts and reasons of a validation: what the task returned."""

    name = "Validation result"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address of the task's XCom page."""
        return f"{_run_page(ti_key)}/tasks/{ti_key.task_id}/xcom"


class LabelCountsLink(ValidationResultLink):
    """To what rules or people said of a partition, in numbers: what the task returned."""

    name = "Label counts"


class LabelsReportLink(BaseOperatorLink):
    """To the page of the report on labels."""

    name = "Labels report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the page's address, '' where the task made no report."""
        partition = getattr(operator, "reported", None)
        if partition is None:
            return ""
        return f"{_base()}{PAGES}/{operator.use_case}/labels/{quote(partition, safe='')}"


class LabelStudioLink(BaseOperatorLink):
    """To the project in Label Studio where a round is answered."""

    name = "Label Studio"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the project's address, '' before it is known."""
        return str(getattr(operator, "labelling_page", ""))


class RequiredActionsLink(BaseOperatorLink):
    """To the questions that a run asks people."""

    name = "Questions"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address of the run's list of required actions."""
        return f"{_run_page(ti_key)}/required_actions"


def _base() -> str:
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="")).rstrip("/")


def _run_page(ti_key: Any) -> str:
    return f"{_base()}/dags/{ti_key.dag_id}/runs/{quote(ti_key.run_id, safe='')}"


LINKS = (
    MlflowRunLink(),
    DriftReportLink(),
    ValidationResultLink(),
    LabelCountsLink(),
    LabelsReportLink(),
    RequiredActionsLink(),
    LabelStudioLink(),
)
