"""The report on the labels of a partition, as a page for those who may read the Dag that makes it.

Rows and names in it are other people's data: they are escaped, and the page may run nothing.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.overview.labels_report import labels_report
from plugins.hooks.lake import LakeHook
from plugins.pages.overview import ReadableDags, told

HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
DAG = "label"

router = APIRouter()
_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@router.get("/{use_case}/labels/{partition}")
def labels(use_case: str, partition: str, readable: ReadableDags) -> Response:
    """Give the page; 404 where there is no report, or none that the caller may read."""
    if f"{use_case}__{DAG}" in readable:
        with told():
            sections = labels_report(LakeHook().lake, use_case, partition)
        if sections is not None:
            page = _pages.get_template("labels.html").render(
                use_case=use_case, partition=partition, sections=sections
            )
            return Response(page, media_type="text/html", headers=HEADERS)
    raise HTTPException(404, f"There is no report on labels of {partition} that you may read.")
