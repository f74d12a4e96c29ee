"""Send figures of a phase to where Airflow sends its own metrics; nowhere without that."""

from __future__ import annotations

import math


def send(use_case: str, phase: str, figures: dict[str, float | None]) -> None:
    """Send figures of the newest partition that a phase has worked on.

    :param use_case: whose they are
    :param phase: which phase measured them
    :param figures: by name, in snake case; what is None or not finite is not sent
    """
    from airflow.sdk.observability import stats

    tags = {"use_case": use_case}
    for name, value in figures.items():
        if value is not None and math.isfinite(value):
            stats.gauge(f"flywheel.{phase}.{name}", float(value), tags=tags)
