"""The pictures of items that people are asked about, for those who may see the questions.

Airflow shows a question as Markdown and takes no `data:` images. A question therefore names the
picture by an address of the API server itself, and this application answers there. It does not run
code of use cases: a worker has made the picture.
"""

from __future__ import annotations

import logging
import re

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Request, Response

from include.errors import DataContractError, FlywheelError
from include.lake.files import LakeFiles
from plugins.hooks.lake import LakeHook
from plugins.roles import ANNOTATE

log = logging.getLogger(__name__)

_NAMES = (r"[a-z][a-z0-9_]*", r"\d{4}-\d{2}(-\d{2})?", r"[0-9a-f]{16}")
"""Use case, partition, item: what a path may be made of."""
_PNG = b"\x89PNG\r\n\x1a\n"
"""How each PNG begins (PNG specification, 5.2)."""

HEADERS = {
    # No cache between the server and this person's browser may give it to somebody else.
    "Cache-Control": "private, max-age=300",
    # A browser must not take it for anything else than a picture, whatever is in it.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}


def may_see_questions(request: Request, user: GetUserDep, use_case: str) -> None:
    """Answer 401 without a login, and 403 to people who may not read the use case's questions."""
    dag_id = f"{use_case}__{ANNOTATE}"
    requires_access_dag("GET", DagAccessEntity.HITL_DETAIL, param_dag_id=dag_id)(request, user)


router = APIRouter()


@router.get(
    "/{use_case}/pictures/{partition}/{item}.png", dependencies=[Depends(may_see_questions)]
)
def picture(use_case: str, partition: str, item: str) -> Response:
    """Give one picture; 404 where there is none."""
    none = HTTPException(404, "There is no such picture.")
    if not all(map(re.fullmatch, _NAMES, (use_case, partition, item))):
        raise none
    try:
        png = LakeFiles(LakeHook().lake).read(f"{use_case}/pictures/{partition}/{item}.png")
    except DataContractError:
        raise none from None
    except FlywheelError as error:
        log.warning("%s", error)  # it names places, which are not the caller's business
        raise HTTPException(503, "The lake does not answer. Try again.") from error
    if not png.startswith(_PNG):  # a file that somebody else put there
        raise none
    return Response(png, media_type="image/png", headers=HEADERS)
