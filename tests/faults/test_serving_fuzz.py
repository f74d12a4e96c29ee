"""Whatever is sent to `/invocations`, the client is told in a short answer of status 200 or 4xx.

Seeds make the bodies, so that a failure can be repeated: its message names the seed. More of them:
`FUZZ_SEEDS=100000 pytest tests/faults/test_serving_fuzz.py`.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from include.modelling import estimators
from include.registry.package import ServableModel
from include.registry.request_rules import seen_in
from include.use_cases.python_package import OwnPython
from tests.support.packages import TINY, tiny_use_case
from tests.support.request_bodies import CSV, GOOD, JSON, MARK, good_body, mutated_body, seeded
from tests.support.serving import served

SEEDS = int(os.environ.get("FUZZ_SEEDS", "2000"))
TYPES = {"at": "timestamp", "n": "int64", "x": "float64", "open": "bool", "colour": "string"}
# What the operations of real features do: a quotient, a square, a logarithm, a weekday, text.
PYTHON = """\
import numpy as np


def derive(frame):
    with np.errstate(all="ignore"):
        logarithm = np.log1p(frame["x"])
    return frame.assign(
        per_n=frame["x"] / frame["n"].astype("float64"),
        square=frame["x"] ** 2,
        log=logarithm,
        minutes=frame["n"] // 100 * 60 + frame["n"] % 100,
        weekday=frame["at"].dt.tz_convert("America/New_York").dt.dayofweek.astype("str"),
        is_open=frame["open"].astype("float64"),
    )
"""
NUMERIC = ["n", "x", "per_n", "square", "log", "minutes", "is_open"]


def make_model():
    """Make a random forest, which refuses more numbers than any other estimator, over all types."""
    use_case = tiny_use_case(
        ingest={**TINY["ingest"], "columns": {"id": "int64", **TYPES}},
        features={"inputs": list(TYPES), "numeric": NUMERIC, "categorical": ["colour", "weekday"]},
        train={**TINY["train"], "candidates": [{"estimator": "random_forest", "n_estimators": 10}]},
    )
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.normal(size=60) for name in NUMERIC}).assign(
        colour=["red", "green"] * 30, weekday=["0", "6"] * 30
    )
    space = use_case.train.candidates[0]
    made = estimators.make(use_case, space.estimator, estimators.defaults(space))
    rows = pd.DataFrame(
        {
            "at": pd.to_datetime(["2024-01-01T00:00:00Z"] * 2),
            "n": pd.array([1, None], "Int64"),
            "x": [0.0, 1.0],
            "open": pd.array([True, None], "boolean"),
            "colour": pd.Series(["red", None], dtype="str"),
        }
    )
    return ServableModel(
        use_case=use_case,
        version="1",
        estimator=made.fit(X, pd.Series([0, 1] * 30)),
        request_columns=TYPES,
        example=GOOD,
        reference=X,
        facts={},
        python=OwnPython(use_case.name, (("features.py", PYTHON),)),
        request_seen=seen_in(rows, use_case),
    )


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def client(model, tmp_path, monkeypatch):
    with served(model, tmp_path, monkeypatch, PYTHON) as running:
        yield running


def test_every_good_body_is_answered(client):
    formats = set()
    for seed in range(40):
        body, kind = good_body(seeded(seed), [GOOD])
        reply = client.post("/tiny/invocations", content=body, headers={"Content-Type": kind})
        assert reply.status_code == 200, (seed, body, reply.text)
        formats.add(kind if kind == CSV else next(iter(json.loads(body))))
    assert formats == {"dataframe_split", "dataframe_records", "instances", "inputs", CSV}


def test_no_body_is_answered_with_5xx_or_repeated(client, caplog):
    caplog.set_level("ERROR")
    seen: Counter[int] = Counter()
    for seed in range(SEEDS):
        body, kind = mutated_body(seed)
        reply = client.post(
            "/tiny/invocations", content=body, headers={"Content-Type": kind.encode("latin-1")}
        )
        seen[reply.status_code] += 1
        told = f"seed {seed}: {reply.status_code} {reply.text[:300]} for {kind!r} {body[:300]!r}"
        if reply.status_code == 200:
            assert {"predictions", "scores"} <= reply.json().keys(), told
            continue
        assert reply.status_code in (400, 413, 415), told
        assert reply.json().keys() == {"error_code", "message"}, told
        assert len(reply.content) <= 2_000, told
        assert "Traceback" not in reply.text, told
        assert MARK[:201] not in reply.text, told
        assert echoed(body, reply.json()["message"]) <= 200, told
    assert [record.getMessage() for record in caplog.records] == []
    assert seen[200] > SEEDS / 10, seen
    assert seen[400] > SEEDS / 4, seen
    assert seen[415] > 0, seen


def echoed(body: bytes, message: str) -> int:
    """Return the length of the longest word of a message that also stands in the body."""
    sent = body.decode("utf-8", "replace")
    words = re.findall(r"[^\s,'\"\[\]]{20,}", message)
    return max((len(word) for word in words if word in sent), default=0)


@pytest.mark.parametrize("kind", [JSON, CSV, "text/plain", ""])
def test_arbitrary_bytes_are_refused(client, kind):
    for seed in range(60):
        rng = seeded(seed)
        body = rng.randbytes(rng.choice([0, 1, 10, 1_000]))
        reply = client.post("/tiny/invocations", content=body, headers={"Content-Type": kind})
        expected = 400 if kind in (JSON, CSV) else 415
        assert reply.status_code == expected, (seed, body, reply.text)
