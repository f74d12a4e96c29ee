"""The scoring server: every use case in one process, MLflow's protocol under `/<use case>/`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from include.errors import ConfigError
from include.lake.table import Lake
from include.serving.answering import NO_CHAMPION, Desk
from include.serving.batching import Batcher
from include.serving.invocations import Invocations, ScoringApp, check_known
from include.serving.journal import Journal
from include.serving.keys import KeyFile
from include.serving.metrics import CONTENT_TYPE, Metrics
from include.serving.models import Models, ModelSource
from include.serving.openapi import described
from include.serving.page import HEADERS as PAGE_HEADERS
from include.serving.page import page
from include.serving.perimeter import Perimeter
from include.serving.prediction_log import PredictionLog
from include.serving.rejected import ERROR_CODES, Rejected
from include.settings import Settings
from include.use_cases.loader import YAML_NAME, root, shown


def use_case_names() -> list[str]:
    """List the use cases, broken ones too: a misspelt YAML does not stop a champion that serves.

    Raises
    ------
    ConfigError
        If the folder that holds them cannot be found: that says nothing about any of them.
    """
    folder = root()
    if not folder.is_dir():
        raise ConfigError(
            f"{shown(folder)}: the folder of use cases must exist, and does not. Bring it back, or "
            "correct FLYWHEEL_USE_CASES and start the server again."
        )
    return sorted(path.parent.name for path in folder.glob(f"*/{YAML_NAME}"))


def create_app(
    settings: Settings,
    registry: ModelSource,
    lake: Lake,
    *,
    names: Callable[[], list[str]] = use_case_names,
    poll_s: float = 2.0,
    log_every_s: float = 2.0,
    perimeter: Perimeter | None = None,
) -> FastAPI:
    """Build the application; its lifespan starts and stops the watcher and the prediction log.

    Parameters
    ----------
    settings : Settings
        Whose `home` keeps the spool.
    registry : ModelSource
        Where champions come from.
    lake : Lake
        Where reference tables come from and predictions are logged.
    names : callable
        Gives the names of the use cases.
    poll_s : float
        Seconds between two looks at the registry.
    log_every_s : float
        Seconds between two appends of the prediction log.
    perimeter : Perimeter, optional
        Who may ask; by default whoever reaches a loopback name, and has a key once there is one.
    """
    metrics = Metrics()
    home = settings.home / "serving"
    models = Models(names, registry, lake, home / "champions.json", poll_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        log = PredictionLog(lake, home / "spool", metrics, log_every_s)
        desk = Desk(models, Batcher(), Journal(log), metrics)
        app.state.log, app.state.desk = log, desk
        await run_sync(models.start)
        log.start()
        yield
        await run_sync(models.stop)
        await run_sync(desk.batcher.close)
        await run_sync(desk.journal.close)
        await run_sync(log.stop)

    app = ScoringApp(
        title="Flywheel serving",
        description="Predictions of every use case's champion, by MLflow's scoring protocol.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
    )
    _add_errors(app)
    app.perimeter = perimeter or Perimeter(KeyFile(settings.serving_keys))
    app.scoring = Invocations(models, metrics, app.perimeter)
    # For its answer to other methods, 405.
    app.router.routes.append(Route("/{use_case}/invocations", app.scoring, methods=["POST"]))
    _add_facts(app, models, metrics)
    app.openapi = lambda: described(app, models)  # type: ignore[method-assign]
    return app


def _add_facts(app: FastAPI, models: Models, metrics: Metrics) -> None:
    @app.get("/health")
    async def health(request: Request) -> dict[str, Any]:
        """Say how everything is. 200 as long as the process answers: read the JSON."""
        use_cases = {name: models.state(name) for name in models.names}
        log = request.app.state.log.state()
        states = [log, *use_cases.values()]
        troubled = models.problems or any(state["problems"] for state in states)
        return {
            "status": "degraded" if troubled else "ok",
            "problems": models.problems,
            "use_cases": use_cases,
            "prediction_log": log,
        }

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        """Show what one may ask, as a page."""
        return Response(page(models), media_type="text/html", headers=PAGE_HEADERS)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """Counters and latencies in Prometheus's text format."""
        metrics.forget_all_but(models.names)
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/{use_case}/ping")
    @app.get("/{use_case}/health")
    async def ready(use_case: str) -> JSONResponse:
        """Say whether a use case's champion answers: 200, or 503 with the reasons."""
        check_known(use_case, models)
        state = models.state(use_case)
        return JSONResponse(state, 200 if state["ready"] else 503)

    @app.get("/{use_case}/version")
    async def version(use_case: str) -> JSONResponse:
        """Say which version of the model answers, what it was trained on, and which was judged.

        `evaluated_version` is null where the version that answers was judged itself.
        """
        check_known(use_case, models)
        live = models.live(use_case)
        if live is None:
            raise Rejected(503, NO_CHAMPION)
        shown = ("as_of", "run_id", "code_version", "evaluated_version")
        facts = {key: live.model.facts.get(key) for key in shown}
        how = {"runtime": live.model.parity["runtime"], "rows_apart": live.model.rows_apart}
        return JSONResponse(
            {"use_case": use_case, "model_version": live.model.version, **facts, **how}
        )


def _add_errors(app: FastAPI) -> None:
    """Give every error one shape. The frameworks' own handlers would repeat the input."""

    @app.exception_handler(Rejected)
    async def rejected(_request: Request, error: Rejected) -> Response:
        return Response(error.body(), error.status, error.headers, media_type="application/json")

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        status = error.status_code if error.status_code in ERROR_CODES else 400
        body = Rejected(status, f"{HTTPStatus(status).phrase}. See /docs.").body()
        return Response(body, status, error.headers, media_type="application/json")

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> Response:
        body = Rejected(500, "The server failed; its log says why.").body()
        return Response(body, 500, media_type="application/json")
