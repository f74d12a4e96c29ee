"""What a figure of the overview rests on: verdicts on models, and reports on partitions.

A report is a page that others have written, with values of the data in it. It is answered with a
policy that gives it an origin of its own: its scripts reach neither the session of the person who
reads it, nor Airflow, nor any other address.
"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response

from include.deploy.verdicts import Judged, verdicts_of
from include.errors import ConfigError, DataContractError
from include.lake.reports import VALIDATION, read_report
from include.partitions import check_key
from plugins.hooks.lake import LakeHook
from plugins.hooks.mlflow import MlflowHook
from plugins.pages.overview import ReadableDags, found, told

_HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_NO_SCRIPTS = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
# Evidently's page is one file that draws itself. `sandbox` without `allow-same-origin`: no cookies,
# no storage. `default-src 'none'`: no request to anywhere.
_ITS_OWN_SCRIPTS = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)

router = APIRouter()


@router.get("/use-cases/{name}/verdicts")
def verdicts(name: str, readable: ReadableDags) -> list[Judged]:
    """Give every verdict on a use case's models, the newest first."""
    with told():
        return verdicts_of(found(name, readable).name, LakeHook().lake)


@router.get("/use-cases/{name}/partitions/{partition}/validation")
def validation(name: str, partition: str, readable: ReadableDags) -> Response:
    """Give the validation result of a partition as a page; 404 where there is none."""
    with told():
        _check(name, "validate_clean", partition, readable)
        try:
            html = read_report(LakeHook().lake, name, partition, VALIDATION)
        except DataContractError as error:
            raise HTTPException(404, f"No validation result of {partition} is kept.") from error
    return _page(html, _NO_SCRIPTS)


@router.get("/use-cases/{name}/partitions/{partition}/drift")
def drift(name: str, partition: str, readable: ReadableDags) -> Response:
    """Give Evidently's report on a partition, which MLflow keeps; 404 where there is none."""
    from include.drift_monitor.report import read_drift_report  # MLflow takes seconds to import

    with told():
        _check(name, "drift_monitor", partition, readable)
        html = read_drift_report(name, partition, MlflowHook().registry)
    if html is None:
        raise HTTPException(404, f"There is no drift report on {partition}.")
    return _page(html, _ITS_OWN_SCRIPTS)


def _check(name: str, phase: str, partition: str, readable: set[str]) -> None:
    """Answer 404 to those who may not read the Dag that made the report, and to a wrong key."""
    if f"{name}__{phase}" not in readable:
        raise HTTPException(404, f"There is no use case {name} whose {phase} you may read.")
    try:
        check_key(partition, found(name, readable).ingest.partition.grain)
    except ConfigError as error:
        raise HTTPException(404, str(error)) from error


def _page(html: bytes, policy: str) -> Response:
    headers = {**_HEADERS, "Content-Security-Policy": policy}
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)
