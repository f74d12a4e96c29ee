from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.lake.table import Lake
from include.serving import admission, invocations
from include.serving.protocol import MAX_BODY_BYTES

ROW = {"x": 0.5, "z": -0.5, "colour": "red"}
BODY = {"instances": [ROW]}
INVOKE = "/tiny/invocations"


def until(check: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait for a truth that another thread makes."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not true within {timeout_s} s")


def logged(lake: Lake, rows: int = 1) -> pd.DataFrame:
    table = lake.table("tiny", "requests")
    until(lambda: table.exists() and table.read().num_rows >= rows)
    return table.read().to_pandas().sort_values(["served_at", "row"]).reset_index(drop=True)


def test_answers_are_the_models_own(client: TestClient, tiny_model: Any) -> None:
    rows = [ROW, {**ROW, "x": -3.0}, {**ROW, "colour": None}]
    reply = client.post(INVOKE, json={"dataframe_records": rows})
    expected = tiny_model.predict_features(
        pd.DataFrame(rows).assign(colour=["red", "red", "missing"])
    )
    assert reply.status_code == 200
    assert reply.json() == {
        "predictions": expected["prediction"].tolist(),
        "scores": expected["score"].tolist(),
    }
    assert reply.headers["X-Model-Version"] == "1"


def test_facts_of_a_use_case(client: TestClient) -> None:
    assert client.get("/tiny/ping").status_code == 200
    health = client.get("/tiny/health")
    assert health.status_code == 200
    assert health.json()["model_version"] == "1"
    assert client.get("/tiny/version").json() == {
        "use_case": "tiny",
        "model_version": "1",
        "as_of": "2024-01",
        "run_id": "run-1",
        "code_version": "test",
        "evaluated_version": None,
        "runtime": "onnx",
        "rows_apart": True,
    }


def test_every_answer_is_logged_in_the_lake(client: TestClient, lake: Lake) -> None:
    rows = [{**ROW, "id": 1}, {**ROW, "id": 2}]
    good = client.post(INVOKE, json={"instances": rows})
    bad = client.post(INVOKE, json={"instances": [{**ROW, "x": "secret"}]})
    table = logged(lake, 3)
    assert table["request_id"].tolist() == [
        *[good.headers["X-Request-Id"]] * 2,
        bad.headers["X-Request-Id"],
    ]
    assert table["row"].tolist() == [0, 1, 0]
    assert [json.loads(each) for each in table["input"][:2]] == rows
    assert table["prediction"].tolist()[:2] == good.json()["predictions"]
    assert table["score"].tolist()[:2] == good.json()["scores"]
    assert table["status"].tolist() == [200, 200, 400]
    assert table["model_version"].tolist() == ["1", "1", "1"]
    assert table["error"][2].startswith("BAD_REQUEST: Row 0, column 'x': must be a number")
    assert pd.isna(table["input"][2])
    assert table["latency_ms"].between(0, 60_000).all()
    assert set(table["partition"]) == {table["served_at"][0].strftime("%Y-%m-%d")}


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "said"),
    [
        ("POST", "/nothing/invocations", 404, "NOT_FOUND", "There are ['tiny']."),
        ("GET", "/nothing/ping", 404, "NOT_FOUND", "There are ['tiny']."),
        ("GET", "/nothing/version", 404, "NOT_FOUND", "There are ['tiny']."),
        ("GET", "/a/b/c", 404, "NOT_FOUND", "Not Found. See /docs."),
        ("GET", INVOKE, 405, "METHOD_NOT_ALLOWED", "Method Not Allowed. See /docs."),
        ("POST", INVOKE, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type must be"),
    ],
)
def test_errors_have_one_shape(
    client: TestClient, method: str, path: str, status: int, code: str, said: str
) -> None:
    reply = client.request(method, path)
    assert (reply.status_code, reply.json()["error_code"]) == (status, code)
    assert said in reply.json()["message"]


def test_no_champion_yet(serve: Callable[..., TestClient], lake: Lake) -> None:
    with serve(names=("tiny", "other")) as client:
        reply = client.post("/other/invocations", json=BODY)
        assert reply.status_code == 503
        assert reply.json() == {
            "error_code": "UNAVAILABLE",
            "message": "There is no champion yet. Ask again when a training was promoted.",
        }
        assert client.get("/other/ping").status_code == 503
        assert client.get("/other/version").status_code == 503
        assert client.get("/other/health").json()["problems"] == ["No champion yet."]
        overall = client.get("/health")
        assert overall.status_code == 200
        assert overall.json()["status"] == "degraded"
        assert overall.json()["use_cases"]["tiny"]["ready"] is True
        assert client.post(INVOKE, json=BODY).status_code == 200


def test_body_limit(client: TestClient) -> None:
    reply = client.post(
        INVOKE,
        content=b" " * (MAX_BODY_BYTES + 1),
        headers={"Content-Type": "application/json"},
    )
    assert (reply.status_code, reply.json()["error_code"]) == (413, "PAYLOAD_TOO_LARGE")
    padded = json.dumps(BODY).encode().ljust(MAX_BODY_BYTES)
    reply = client.post(INVOKE, content=padded, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200


def test_a_body_that_does_not_come(client: TestClient, monkeypatch: Any) -> None:
    async def never(*_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(invocations, "BODY_TIMEOUT_S", 0.05)
    monkeypatch.setattr("include.serving.invocations._Body._take", never)
    assert client.post(INVOKE, json=BODY).status_code == 408


def test_too_much_in_memory_at_once(client: TestClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(admission, "MOST_HELD_BYTES", 5)
    reply = client.post(INVOKE, json=BODY)
    assert (reply.status_code, reply.json()["error_code"]) == (503, "UNAVAILABLE")
    assert reply.headers["Retry-After"] == "1"
    refused = 'flywheel_serving_errors_total{error_code="UNAVAILABLE",use_case="tiny"} 1.0'
    assert refused in client.get("/metrics").text
    monkeypatch.undo()
    held = len(json.dumps(BODY)) + 20
    monkeypatch.setattr(admission, "MOST_HELD_BYTES", held)
    assert [client.post(INVOKE, json=BODY).status_code for _ in range(3)] == [200] * 3


class Broken:
    """An estimator that fails, or answers what JSON cannot say."""

    classes_ = (0, 1)

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Answer the example only."""
        if X["x"].iloc[0] == 0.5:  # the example, which warms the model, is answered
            return [[0.5, 0.5]] * len(X)
        if self.fails:
            raise RuntimeError("secret of the model")
        return [[float("nan"), float("nan")]] * len(X)


@pytest.mark.parametrize("fails", [True, False])
def test_a_model_that_fails_costs_its_request_only(
    serve: Callable[..., TestClient], registry: Any, tiny_model: Any, lake: Lake, fails: bool
) -> None:
    broken = dataclasses.replace(tiny_model, estimator=Broken(fails), onnx=None)
    registry.promote(broken, "2")
    with serve() as client:
        reply = client.post(INVOKE, json={"instances": [{**ROW, "x": 7}]})
        assert (reply.status_code, reply.json()["error_code"]) == (500, "INTERNAL_ERROR")
        assert "secret" not in reply.text
        assert reply.headers["X-Request-Id"] in reply.json()["message"]
        assert client.post(INVOKE, json=BODY).status_code == 200
        table = logged(lake, 2)
    assert table["status"].tolist() == [500, 200]
    assert json.loads(table["input"][0])["x"] == 7
    assert pd.isna(table["prediction"][0])


def test_metrics_count_what_happened(client: TestClient) -> None:
    client.post(INVOKE, json={"instances": [ROW, ROW]})
    client.post(INVOKE, json={})
    client.post("/made_up_name/invocations", json=BODY)
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = reply.text.splitlines()
    assert 'flywheel_serving_requests_total{status="200",use_case="tiny"} 1.0' in lines
    assert 'flywheel_serving_errors_total{error_code="BAD_REQUEST",use_case="tiny"} 1.0' in lines
    assert 'flywheel_serving_predictions_total{use_case="tiny"} 2.0' in lines
    count = 'flywheel_serving_latency_seconds_count{model_version="1",use_case="tiny"} 1.0'
    assert count in lines
    assert "flywheel_serving_log_dropped_total 0.0" in lines
    assert "made_up_name" not in reply.text, "clients must not be able to make labels"


def test_swap_is_visible_without_a_restart(
    client: TestClient, registry: Any, tiny_model: Any
) -> None:
    assert client.get("/tiny/version").json()["model_version"] == "1"
    registry.promote(tiny_model, "2")
    until(lambda: client.get("/tiny/version").json()["model_version"] == "2")
    assert client.post(INVOKE, json=BODY).headers["X-Model-Version"] == "2"


def test_published_description_names_the_protocol(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200
    described = client.get("/openapi.json").json()["paths"]["/{use_case}/invocations"]["post"]
    assert set(described["requestBody"]["content"]) == {"application/json", "text/csv"}
    assert {"200", "400", "413", "415", "503"} <= set(described["responses"])


def test_published_description_has_the_columns_of_each_use_case(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/tiny/invocations"]["post"]
    forms = described["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    row = next(f for f in forms if "instances" in f["properties"])["properties"]["instances"]
    assert row["items"] == {
        "type": "object",
        "properties": {
            "x": {"type": ["number", "null"], "minimum": -1e30, "maximum": 1e30},
            "z": {"type": ["number", "null"], "minimum": -1e30, "maximum": 1e30},
            "colour": {"type": ["string", "null"], "pattern": "^[^\\u0000]*$"},
            "id": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        },
        "required": ["colour", "x", "z"],
        "additionalProperties": False,
    }
    example = described["requestBody"]["content"]["application/json"]["example"]
    assert client.post(INVOKE, json=example).status_code == 200


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
CELLS = st.floats() | st.integers() | st.none() | st.text(max_size=3) | st.just("\ud800")
ROWS = st.fixed_dictionaries(
    {"x": CELLS, "z": st.floats() | st.none(), "colour": CELLS}, optional={"id": CELLS, "q": CELLS}
)
NEARLY_RIGHT = st.one_of(
    st.builds(
        lambda name, rows: {name: rows}, st.sampled_from(["instances", "inputs"]), st.lists(ROWS)
    ),
    st.dictionaries(
        st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params"]),
        JSON_VALUES,
    ),
    st.fixed_dictionaries(
        {
            "dataframe_split": st.fixed_dictionaries(
                {
                    "columns": st.permutations(["x", "z", "colour"]),
                    "data": st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=3),
                }
            )
        }
    ),
)


def test_arbitrary_bodies_never_give_a_5xx(client: TestClient) -> None:
    seen: set[int] = set()

    @settings(
        max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(body=NEARLY_RIGHT | JSON_VALUES | st.binary(max_size=50), csv=st.booleans())
    def check(body: Any, csv: bool) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/csv" if csv and isinstance(body, bytes) else "application/json"
        reply = client.post(INVOKE, content=content, headers={"Content-Type": kind})
        seen.add(reply.status_code)
        assert reply.status_code < 500, reply.text
        assert "error_code" in reply.json() or "predictions" in reply.json()

    check()
    assert {200, 400} <= seen, "the bodies must reach the model too"
