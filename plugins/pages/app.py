"""The application that the API server mounts: the overview, its page, reports and pictures."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from plugins.pages import evidence, labels, overview, pictures

STATIC = Path(__file__).parent / "static"

app = FastAPI(title="Flywheel", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(overview.router, prefix="/api")
app.include_router(evidence.router, prefix="/api")
app.include_router(labels.router)
app.include_router(pictures.router)
app.mount("/static", StaticFiles(directory=STATIC))
