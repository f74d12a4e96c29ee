"""What the server counts, in Prometheus's text format at `/metrics`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from include.serving.rejected import RefusedValue
from include.serving.scored import RowsBy

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Around the few milliseconds that one row takes, up to the second of 10,000 rows.
LATENCY_BUCKETS_S = (0.002, 0.004, 0.006, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


FINDINGS = {
    "out_of_range": (
        "column",
        "Request values outside what is possible or was seen at training, flagged or refused.",
    ),
    "unknown_categories": (
        "feature",
        "Rows with a category that no training row had, flagged; and requests refused for one.",
    ),
    "failed_joins": (
        "reference",
        "Rows for which a reference has no row, flagged; and requests refused for one.",
    ),
}
"""What an answer may say of its rows: by the field's name, what it is told by, and the words."""


class Metrics:
    """The counters of one application; each has its own, so that tests do not share them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "flywheel_serving_requests",
            "Scoring requests answered, by HTTP status.",
            ("use_case", "status"),
            registry=self._registry,
        )
        self.errors = Counter(
            "flywheel_serving_errors",
            "Scoring requests answered with an error, by its code.",
            ("use_case", "error_code"),
            registry=self._registry,
        )
        self.latency_s = Histogram(
            "flywheel_serving_latency_seconds",
            "From the first byte of a good request to its answer.",
            ("use_case", "model_version"),
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self.predictions = Counter(
            "flywheel_serving_predictions",
            "Rows predicted.",
            ("use_case",),
            registry=self._registry,
        )
        self._findings = {
            finding: Counter(
                f"flywheel_serving_{finding}",
                words,
                ("use_case", by, "outcome"),
                registry=self._registry,
            )
            for finding, (by, words) in FINDINGS.items()
        }
        self.log_dropped = Counter(
            "flywheel_serving_log_dropped",
            "Requests whose log was lost: no room while the lake was away, or the disk failed.",
            registry=self._registry,
        )
        self.log_waiting_bytes = Gauge(
            "flywheel_serving_log_waiting_bytes",
            "Size of the prediction log that is not in the lake yet.",
            registry=self._registry,
        )

    def answered(
        self,
        use_case: str,
        status: int,
        *,
        error_code: str | None = None,
        model_version: str = "",
        rows: int = 0,
        latency_s: float = 0.0,
    ) -> None:
        """Count one scoring request.

        Parameters
        ----------
        use_case : str
            A known one: names that clients make up must not become labels.
        status : int
            HTTP status.
        error_code : str, optional
            The code in an error's body.
        model_version : str
            Which model answered.
        rows : int
            Rows predicted.
        latency_s : float
            Seconds from the request to its answer.
        """
        self.requests.labels(use_case, str(status)).inc()
        if error_code is not None:
            self.errors.labels(use_case, error_code).inc()
            return
        self.latency_s.labels(use_case, model_version).observe(latency_s)
        self.predictions.labels(use_case).inc(rows)

    def flagged(self, use_case: str, findings: Mapping[str, RowsBy]) -> None:
        """Count the rows that a good answer flags, by finding and by what it is about."""
        for finding, rows_by in findings.items():
            for name, rows in rows_by.items():
                self._findings[finding].labels(use_case, name, "flagged").inc(len(rows))

    def refused(self, use_case: str, value: RefusedValue) -> None:
        """Count a request that was refused for a value."""
        self._findings[value.finding].labels(use_case, value.name, "refused").inc()

    def forget_all_but(self, use_cases: Collection[str]) -> None:
        """Drop the counters of use cases that are no more; the others keep theirs.

        Parameters
        ----------
        use_cases : collection of str
            Those there are.
        """
        by_use_case = (
            self.requests,
            self.errors,
            self.latency_s,
            self.predictions,
            *self._findings.values(),
        )
        for metric in by_use_case:
            labelled = {
                sample.labels["use_case"]
                for family in metric.collect()
                for sample in family.samples
            }
            for name in labelled.difference(use_cases):
                metric.remove_by_labels({"use_case": name})

    def text(self) -> bytes:
        """Write all of them as Prometheus reads them."""
        return generate_latest(self._registry)
