"""Every request and its answer, into the lake table `requests`, exactly once.

A request writes one line to a journal on disk before it is answered (`include.serving.spool`); a
thread takes the journals to the lake every other second. While the lake is away they wait, up to a
bound.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.lake.table import Lake
from include.serving import spool
from include.serving.metrics import Metrics
from include.serving.protocol import Table
from include.use_cases.naming import PREDICTED_CLASS

STAGE = "requests"
SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("served_at", pa.timestamp("us", tz="UTC")),
        ("model_version", pa.string()),
        ("row", pa.int64()),
        ("input", pa.string()),
        ("prediction", pa.float64()),
        ("score", pa.float64()),
        (PREDICTED_CLASS, pa.string()),
        ("probabilities", pa.string()),
        ("latency_ms", pa.float64()),
        ("status", pa.int64()),
        ("error", pa.string()),
    ]
)
MAX_SPOOL_BYTES = 256_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """One request and how it was answered.

    Attributes
    ----------
    columns : dict of str to list, optional
        The rows as they were sent; None when they could not be read.
    answer : dict of str to list, optional
        What `include.serving.protocol.answer` makes.
    error : str, optional
        Code and message of an error.
    """

    use_case: str
    request_id: str
    served_at: datetime
    status: int
    latency_ms: float
    model_version: str | None = None
    columns: Table | None = None
    answer: dict[str, Any] | None = None
    error: str | None = None


class PredictionLog:
    """Takes records, and takes them to the lake.

    Parameters
    ----------
    lake : Lake
        Where the tables `requests` are.
    root : Path
        Folder of the replicas' journals.
    metrics : Metrics
        Where lost and waiting records are counted.
    every_s : float
        Seconds between two rounds.
    max_bytes : int
        From this size on the oldest waiting journals are dropped.
    """

    def __init__(
        self,
        lake: Lake,
        root: Path,
        metrics: Metrics,
        every_s: float = 2.0,
        max_bytes: int = MAX_SPOOL_BYTES,
    ) -> None:
        self._lake = lake
        self._metrics = metrics
        self._every_s = every_s
        self._max_bytes = max_bytes
        self._spools = spool.claim(root)
        self._problems: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to take journals to the lake."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take all there is to the lake, for at most so long; the rest waits for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.warning("The lake takes too long; the rest of the log waits in the spool")
            return
        for each in self._spools:
            each.close()

    def write(self, *records: Record) -> None:
        """Write records to the journal. A disk that fails costs the log, not the answer."""
        lines: dict[tuple[str, str], list[bytes]] = {}
        for record in records:
            line = json.dumps(vars(record), default=_iso_time).encode() + b"\n"
            day = record.served_at.strftime("%Y-%m-%d")
            lines.setdefault((record.use_case, day), []).append(line)
        for (use_case, day), written in lines.items():
            try:
                self._spools[0].write(use_case, day, b"".join(written))
            except OSError:
                self._metrics.log_dropped.inc(len(written))
                _log.exception("The log of %d requests is lost", len(written))

    def state(self) -> dict[str, Any]:
        """Return what `/health` says."""
        waiting = sum(len(each.waiting()) for each in self._spools)
        return {"files_waiting": waiting, "problems": sorted(self._problems.values())}

    def drain(self, *, everything: bool = False) -> None:
        """Take the journals to the lake; one that fails holds up the later ones of its use case."""
        failed: dict[str, str] = {}
        for each in self._spools:
            each.seal(everything=everything)
            held_up: set[str] = set()
            for path in each.waiting():
                use_case = spool.use_case_of(path)
                if use_case in held_up:
                    continue
                try:
                    self._take(path, each.replica)
                except Exception as error:  # the lake may be away in many ways; the file waits
                    held_up.add(use_case)
                    failed[use_case] = f"{use_case}: the log waits for the lake: {error}"
        self._report(failed)
        self._bound()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._round(everything=False)
        self._round(everything=True)

    def _round(self, *, everything: bool) -> None:
        try:
            self.drain(everything=everything)
        except Exception:  # the thread outlives whatever a round runs into
            _log.exception("A round of the prediction log failed; its files are still there")

    def _take(self, path: Path, replica: str) -> None:
        table, lost = to_table(path.read_bytes().splitlines(keepends=True))
        if lost:
            self._metrics.log_dropped.inc(lost)
            _log.warning("%s: %d lines are damaged and lost", path, lost)
        if table.num_rows:
            self._lake.table(spool.use_case_of(path), STAGE).append(
                table,
                partition=spool.day_of(path),
                schema=SCHEMA,
                app_id=replica,
                sequence=spool.sequence_of(path),
            )
        # Killed before this line, the next process offers it again, and the lake passes over it.
        path.unlink()

    def _bound(self) -> None:
        size = sum(each.size_bytes() for each in self._spools)
        for path in sorted(
            (path for each in self._spools for path in each.waiting()),
            key=lambda path: path.stat().st_mtime_ns,
        ):
            if size <= self._max_bytes:
                break
            size -= path.stat().st_size
            self._metrics.log_dropped.inc(len(path.read_bytes().splitlines()))
            _log.error(
                "%s is dropped: the log has more than %d bytes to wait", path, self._max_bytes
            )
            path.unlink()
        self._metrics.log_waiting_bytes.set(size)

    def _report(self, failed: dict[str, str]) -> None:
        for use_case, problem in failed.items():
            if use_case not in self._problems:
                _log.warning("%s", problem)
        for use_case in self._problems.keys() - failed.keys():
            _log.info("%s: the log is in the lake again", use_case)
        self._problems = failed


def to_table(lines: Iterable[bytes]) -> tuple[pa.Table, int]:
    """Make table rows of journal lines: one for each row of a request, one for an unread request.

    Parameters
    ----------
    lines : iterable of bytes
        With their newlines: a last line without one was cut off by a kill.

    Returns
    -------
    table : Table of `SCHEMA`
    lost : int
        Lines that could not be read.
    """
    rows: list[dict[str, Any]] = []
    lost = 0
    for line in lines:
        try:
            record = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            record = None
        if record is None:
            lost += 1
        else:
            rows.extend(_rows(record))
    return pa.Table.from_pylist(rows, schema=SCHEMA), lost


def _rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    columns, answer = record["columns"] or {}, record["answer"] or {}
    count = len(next(iter(columns.values()), [None]))
    nothing = [None] * count
    predictions, scores = answer.get("predictions", nothing), answer.get("scores", nothing)
    probabilities, classes = answer.get("probabilities", nothing), nothing
    if "probabilities" in answer:  # by name, in the order of the classes' numbers
        classes = predictions
        predictions = [
            float(list(each).index(name)) for each, name in zip(probabilities, classes, strict=True)
        ]
    shared = {
        **{name: record[name] for name in ("request_id", "model_version", "status", "error")},
        "served_at": datetime.fromisoformat(record["served_at"]),
        "latency_ms": record["latency_ms"],
    }
    for row in range(count):
        sent = {name: values[row] for name, values in columns.items()}
        yield {
            **shared,
            "row": row,
            "input": json.dumps(sent) if columns else None,
            "prediction": predictions[row],
            "score": scores[row],
            PREDICTED_CLASS: classes[row],
            "probabilities": json.dumps(probabilities[row]) if probabilities[row] else None,
        }


def _iso_time(value: datetime) -> str:
    return value.isoformat()
