"""Read the lines that Airflow's StatsD client sends.

The form is StatsD's with InfluxDB's tags, as `[metrics] statsd_influxdb_enabled` writes it:

    airflow.ti.finish,dag_id=air_time__feature,state=success:1|c

The type is `c` for a counter, `g` for a gauge, `ms` for a duration in milliseconds. Specification:
https://github.com/statsd/statsd/blob/master/docs/metric_types.md
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")
_LEFT_OUT = frozenset({"run_id", "job_id", "try_number", "map_index", "ti_id"})
"""Tags with a new value for each run: each would begin a series of its own."""
_OUR_OWN = "airflow.flywheel."
"""Airflow's client puts its prefix before what our operators measure."""
COUNTER, GAUGE, DURATION = "c", "g", "ms"


@dataclass(frozen=True)
class Line:
    """One measurement.

    Attributes
    ----------
    name : str
        As Prometheus allows it, without the suffix of a type.
    kind : str
        `COUNTER`, `GAUGE` or `DURATION`.
    value : float
        Of a duration, seconds.
    labels : tuple of (str, str)
        Sorted. `dag_id` is told as `use_case` and `phase`.
    is_change : bool
        Whether a gauge is changed by the value, and not set to it.
    """

    name: str
    kind: str
    value: float
    labels: tuple[tuple[str, str], ...]
    is_change: bool = False


def read(text: str) -> Line | None:
    """Read one line; None for one that is none.

    Examples
    --------
    >>> line = read("airflow.dagrun.duration.success,dag_id=air_time__feature:1500|ms")
    >>> line.name, line.value, dict(line.labels)
    ('airflow_dagrun_duration_success', 1.5, {'phase': 'feature', 'use_case': 'air_time'})
    """
    head, colon, tail = text.rpartition(":")
    number, _, rest = tail.partition("|")
    kind, _, rate = rest.partition("|@")
    name, *tags = head.split(",")
    if not (colon and name and kind in (COUNTER, GAUGE, DURATION)):
        return None
    try:
        value, share = float(number), float(rate or 1)
    except ValueError:
        return None
    if not (math.isfinite(value) and 0 < share <= 1):
        return None
    if kind == COUNTER:
        value /= share  # the client sent this share of its lines
    if kind == DURATION:
        value /= 1000
    labels = dict(tag.split("=", 1) for tag in tags if "=" in tag)
    if name.startswith(_OUR_OWN):
        name = name.removeprefix("airflow.")
    return Line(
        _UNSAFE.sub("_", name),
        kind,
        value,
        tuple(sorted(_told(labels).items())),
        kind == GAUGE and number[:1] in "+-",
    )


def _told(tags: dict[str, str]) -> dict[str, str]:
    found = {_UNSAFE.sub("_", name): value for name, value in tags.items() if name not in _LEFT_OUT}
    use_case, both, phase = found.get("dag_id", "").partition("__")
    if both:
        del found["dag_id"]
        found |= {"use_case": use_case, "phase": phase}
    return found
