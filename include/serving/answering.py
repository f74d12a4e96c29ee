"""From the bytes of a scoring request to those of its answer; counted and logged either way."""

from __future__ import annotations

import json
import logging
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from anyio.to_thread import run_sync
from structlog.contextvars import bind_contextvars, bound_contextvars

from include.logs import REQUESTS
from include.modelling.features import InfiniteFeatureError
from include.serving.admission import LARGE_BODY_BYTES
from include.serving.batching import Batcher
from include.serving.journal import Journal
from include.serving.live import Live
from include.serving.metrics import Metrics
from include.serving.models import Models
from include.serving.prediction_log import Record
from include.serving.protocol import Rows, answer, parse
from include.serving.ranges import out_of_range
from include.serving.rejected import RefusedValue, Rejected
from include.serving.scored import RowsBy, Scored

NO_CHAMPION = "There is no champion yet. Ask again when a training was promoted."

_requests = logging.getLogger(REQUESTS)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """A scoring request as it came in.

    Attributes
    ----------
    body : bytes or Rejected
        What was sent, or why it was not read.
    started_s : float
        `time.perf_counter` at its first byte.
    """

    use_case: str
    content_type: str
    body: bytes | Rejected
    started_s: float
    served_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class _Progress:
    """How far a request came; what is known of it is logged even if it failed."""

    version: str | None = None
    rows: Rows | None = None
    content: dict[str, Any] | None = None
    findings: dict[str, RowsBy] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Desk:
    """What answers need.

    Attributes
    ----------
    models : Models
        Which model answers.
    batcher : Batcher
        Scores rows.
    journal : Journal
        Keeps what was asked and answered.
    metrics : Metrics
        Counts it.
    """

    models: Models
    batcher: Batcher
    journal: Journal
    metrics: Metrics

    async def reply_to(self, question: Question) -> Reply:
        """Answer a scoring request for a known use case."""
        with bound_contextvars(request_id=question.request_id, use_case=question.use_case):
            return await self._reply_to(question)

    async def _reply_to(self, question: Question) -> Reply:
        progress = _Progress()
        rejected: Rejected | None = None
        try:
            await self._predict(question, progress)
        except Rejected as error:
            rejected = error
        except Exception:  # whatever a model or a features.py runs into is this request's alone
            _log.exception("%s: request %s failed", question.use_case, question.request_id)
            rejected = Rejected(
                500,
                f"The model could not answer; request {question.request_id} is in the server's"
                " log.",
            )
        record = _record(question, progress, rejected)
        self._count(question, progress, rejected, record)
        await self.journal.write(record)
        _requests.info("answered", extra={"status": record.status, "latency_ms": record.latency_ms})
        headers = {"X-Request-Id": question.request_id, "X-Model-Version": progress.version or ""}
        return Reply(record.status, rejected.body() if rejected else progress.body, headers)

    async def _predict(self, question: Question, progress: _Progress) -> None:
        if isinstance(question.body, Rejected):
            raise question.body
        live = self.models.live(question.use_case)
        if live is None:
            raise Rejected(503, NO_CHAMPION)
        progress.version = live.model.version
        bind_contextvars(model_version=live.model.version)  # until `reply_to` ends
        if len(question.body) > LARGE_BODY_BYTES:  # others are answered meanwhile
            await run_sync(_read, question, live, progress)
        else:
            _read(question, live, progress)
        use_case, scored = live.model.use_case, await self._scored(live, progress)
        scored.check(use_case.serve)
        progress.findings |= {
            "unknown_categories": scored.unknown_categories,
            "failed_joins": scored.failed_joins,
        }
        progress.content = answer(scored.scores, use_case, progress.findings)
        # NaN is not JSON: a model that answers it has failed, and says so.
        progress.body = json.dumps(progress.content, allow_nan=False).encode()

    async def _scored(self, live: Live, progress: _Progress) -> Scored:
        assert progress.rows is not None  # noqa: S101  for mypy: `_read` sets them
        try:
            return await self.batcher.score(live, progress.rows)
        except InfiniteFeatureError as error:  # of these values: the client can change them
            raise Rejected(
                400,
                f"Row {error.row}: feature {error.feature!r} is infinite or too large for these"
                " values. Check the row's numbers.",
            ) from error

    def _count(
        self, question: Question, progress: _Progress, rejected: Rejected | None, record: Record
    ) -> None:
        self.metrics.answered(
            question.use_case,
            record.status,
            error_code=rejected.error_code if rejected else None,
            model_version=progress.version or "",
            rows=progress.rows.count if progress.rows else 0,
            latency_s=record.latency_ms / 1000,
        )
        if rejected is None:
            self.metrics.flagged(question.use_case, progress.findings)
        elif isinstance(rejected, RefusedValue):
            self.metrics.refused(question.use_case, rejected)


def _read(question: Question, live: Live, progress: _Progress) -> None:
    """Read and check the rows."""
    assert isinstance(question.body, bytes)  # noqa: S101  for mypy: `_predict` has looked
    model = live.model
    rules = model.request_rules
    rows = parse(question.body, question.content_type, model.use_case, model.request_columns, rules)
    progress.rows = rows
    progress.findings["out_of_range"] = out_of_range(rows.columns, rules)


def _record(question: Question, progress: _Progress, rejected: Rejected | None) -> Record:
    return Record(
        use_case=question.use_case,
        request_id=question.request_id,
        served_at=question.served_at,
        status=rejected.status if rejected else 200,
        latency_ms=(time.perf_counter() - question.started_s) * 1000,
        model_version=progress.version,
        columns=progress.rows.columns if progress.rows else None,
        answer=None if rejected else progress.content,
        error=f"{rejected.error_code}: {rejected.message}" if rejected else None,
    )
