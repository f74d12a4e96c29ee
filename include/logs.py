"""How our servers write their logs: lines for people, or one JSON object a line for a collector.

`FLYWHEEL_LOG_FORMAT=json` chooses the second; Airflow's parts are told the same by its own option.
What is bound by `structlog.contextvars` (a request's id, a model version) is in each JSON line that
is written meanwhile, whoever writes it.
"""

from __future__ import annotations

import logging
import sys

import structlog

REQUESTS = "include.serving.requests"
"""The logger of one line per scoring request. In the form for people there is none: the prediction
log says more."""
_FOR_PEOPLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(log_format: str) -> None:
    """Let every logger of this process write to standard error, in one form.

    Called after the imports: handlers that libraries have installed are replaced.

    Parameters
    ----------
    log_format : str
        `text` or `json`: `Settings.log_format`.
    """
    handler = logging.StreamHandler(sys.stderr)
    is_json = log_format == "json"
    handler.setFormatter(_json() if is_json else logging.Formatter(_FOR_PEOPLE))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger(REQUESTS).disabled = not is_json
    if not is_json:
        return
    logging.captureWarnings(True)
    for name in logging.root.manager.loggerDict:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _json() -> logging.Formatter:
    """Return the formatter that Airflow uses too: the same keys in all logs."""
    processors = structlog.processors
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            processors.format_exc_info,
            processors.JSONRenderer(default=str),
        ],
    )
