"""What serving adds to the model: one row over HTTP, beside the estimator's own prediction of it.

Over HTTP come the protocol, the checks, the features with their reference tables and the prediction
log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import httpx
import pandas as pd

from benchmarks.figures import Figure
from benchmarks.house import USE_CASE, House
from include.modelling.features import build_features
from include.modelling.references import load_references
from include.registry.client import CHAMPION, Registry

LIMIT = 4.0
REQUESTS = 500


def measure(house: House) -> list[Figure]:
    """Ask both in turn, one row at a time; compare the medians."""
    settings = house.settings
    registry = Registry(
        settings.tracking_uri, verify_key=settings.verify_key, cache=settings.home / "models"
    )
    model = registry.load(USE_CASE, str(registry.version_of(USE_CASE, CHAMPION)))
    references, _ = load_references(model.use_case, house.lake)
    row = pd.DataFrame([model.example])
    for name, kind in model.request_columns.items():
        if kind == "timestamp":
            row[name] = pd.to_datetime(row[name], utc=True)
    features = build_features(row, references, model.use_case, model.python)
    url = f"{settings.serving_url}/{USE_CASE}/invocations"
    served, alone = [], []
    with httpx.Client(trust_env=False, timeout=30) as client:

        def ask() -> None:
            client.post(url, json={"instances": [model.example]}).raise_for_status()

        for number in range(REQUESTS):
            both = timed(ask), timed(lambda: model.estimator.predict_proba(features))
            if number >= REQUESTS // 10:  # the first ones warm up
                served.append(both[0])
                alone.append(both[1])
    p95 = sorted(served)[int(0.95 * len(served))]
    against = (
        f"the estimator's predict_proba, same row, p50 {1000 * median(alone):.1f} ms; over HTTP "
        f"p50 {1000 * median(served):.1f} ms, p95 {1000 * p95:.1f} ms, one client"
    )
    return [Figure("serving_one_row_p50", median(served) / median(alone), "ratio", against, LIMIT)]


def timed(call: Callable[[], object]) -> float:
    """Give the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
