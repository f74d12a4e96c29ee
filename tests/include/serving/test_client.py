"""The client beside the real application, and beside servers that are busy, away or others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from include.serving import client as module
from include.serving import protocol
from include.serving.client import Answer, Client, ServingError, bodies_of
from include.serving.keys import KeyFile
from include.settings import Settings

ROW = {"x": 0.5, "z": -0.5, "colour": "red"}
GOOD = {"predictions": [1], "scores": [0.75]}
NAMES = {"X-Model-Version": "7", "X-Request-Id": "abc"}


def against(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> Client:
    http = httpx.Client(base_url="http://serving", transport=httpx.MockTransport(answer))
    return Client("http://serving", http=http, **options)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let time pass at once; gives what was waited for."""
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    monkeypatch.setattr(module.time, "monotonic", lambda: sum(waited))
    return waited


def test_rows_are_predicted_as_the_server_answers(client: TestClient) -> None:
    rows = [ROW, {**ROW, "colour": "mauve"}, {**ROW, "x": None}]
    told = client.post("/tiny/invocations", json={"instances": rows})
    answer = Client("http://localhost", http=client).predict("tiny", rows)  # type: ignore[arg-type]
    assert answer.predictions == told.json()["predictions"]
    assert answer.scores == told.json()["scores"]
    assert answer.unknown_categories == {"colour": [1]}
    assert (answer.model_versions, len(answer.request_ids)) == (["1"], 1)


def test_limits_are_those_of_the_server() -> None:
    limits = (protocol.MAX_ROWS, protocol.MAX_BODY_BYTES)
    assert limits == (module.MAX_ROWS, module.MAX_BYTES)


@pytest.mark.parametrize(("most_rows", "most_bytes"), [(2, 5_000_000), (10_000, 120)])
def test_many_rows_are_several_requests_and_one_answer(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, most_rows: int, most_bytes: int
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", most_rows)
    monkeypatch.setattr(module, "MAX_BYTES", most_bytes)
    rows = [
        {**ROW, "x": x, "colour": "mauve" if x == 2 else "red"} for x in (0.0, 1.0, 2.0, 3.0, 4.0)
    ]
    bodies = list(bodies_of(rows))
    assert [len(json.loads(body)["instances"]) for body in bodies] == [2, 2, 1]
    assert all(len(body) <= most_bytes for body in bodies)
    together = client.post("/tiny/invocations", json={"instances": rows}).json()
    answer = Client("", http=client).predict("tiny", rows)  # type: ignore[arg-type]
    assert (answer.predictions, len(answer.request_ids)) == (together["predictions"], 3)
    assert answer.scores == pytest.approx(together["scores"], abs=1e-12)
    assert answer.unknown_categories == {"colour": [2]}


def test_a_refusal_names_the_server_s_words_and_where_rows_are_counted_from(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Client("", http=client)  # type: ignore[arg-type]
    with pytest.raises(ServingError, match="Row 0, column 'x': must be a number") as caught:
        asking.predict("tiny", [{**ROW, "x": "much"}])
    error = caught.value
    assert (error.status, error.error_code, bool(error.request_id)) == (400, "BAD_REQUEST", True)
    monkeypatch.setattr(module, "MAX_ROWS", 1)
    with pytest.raises(ServingError, match="counted from row 1 on"):
        asking.predict("tiny", [ROW, {**ROW, "x": "much"}])
    with pytest.raises(ServingError, match="404"):
        asking.predict("nothing", [ROW])


def test_a_key_is_sent(client: TestClient, settings: Settings) -> None:
    _, token = KeyFile(settings.serving_keys).make("billing")
    assert Client("", token, http=client).predict("tiny", [ROW]).predictions  # type: ignore[arg-type]
    with pytest.raises(ServingError) as caught:
        Client("", http=client).predict("tiny", [ROW])  # type: ignore[arg-type]
    assert caught.value.status == 401


def test_values_of_pandas_and_numpy_become_json() -> None:
    frame = pd.DataFrame(
        {
            "number": [1.5, np.nan],
            "whole": pd.array([3, None], "Int64"),
            "at": pd.to_datetime(["2024-02-01T00:00:00Z", None]),
            "open": pd.array([True, None], "boolean"),
            "text": pd.Series(["red", None], dtype="str"),
        }
    )
    (body,) = bodies_of(frame.to_dict("records"))  # type: ignore[arg-type]
    first, second = json.loads(body)["instances"]
    assert first == {
        "number": 1.5, "whole": 3, "at": "2024-02-01T00:00:00+00:00", "open": True, "text": "red",
    }  # fmt: skip
    assert set(second.values()) == {None}
    (body,) = bodies_of(
        [{"a": np.float32(0.5), "b": date(2024, 2, 1), "c": datetime(1970, 1, 1, tzinfo=UTC)}]
    )
    assert json.loads(body)["instances"] == [
        {"a": 0.5, "b": "2024-02-01", "c": "1970-01-01T00:00:00+00:00"}
    ]
    with pytest.raises(ValueError, match="not JSON compliant"):
        list(bodies_of([{"a": float("inf")}]))
    with pytest.raises(TypeError):
        list(bodies_of([{"a": object()}]))
    assert Client("").predict("tiny", []) == Answer(), "nothing is asked"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(waits: list[float], status: int) -> None:
    replies = iter(
        [httpx.Response(status, headers={"Retry-After": "3"})] * 2
        + [httpx.Response(200, json=GOOD, headers=NAMES)]
    )
    answer = against(lambda _: next(replies)).predict("tiny", [ROW])
    assert answer == Answer([1], [0.75], model_versions=["7"], request_ids=["abc"])
    assert waits == [3.0, 3.0]


def test_patience_ends(waits: list[float]) -> None:
    error = {"error_code": "UNAVAILABLE", "message": "There is no champion yet."}
    with pytest.raises(ServingError, match=r"503 UNAVAILABLE: There is no champion yet."):
        against(lambda _: httpx.Response(503, json=error), patience_s=10).predict("tiny", [ROW])
    assert 5 < sum(waits) <= 10
    asked: list[int] = []
    with pytest.raises(ServingError):
        against(lambda _: asked.append(1) or httpx.Response(503), patience_s=0).predict(
            "tiny", [ROW]
        )
    assert asked == [1]


def test_what_was_not_sent_is_sent_again_and_what_was_is_not(waits: list[float]) -> None:
    problems: list[Exception] = [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")]

    def answer(request: httpx.Request) -> httpx.Response:
        if problems:
            raise problems.pop()
        return httpx.Response(200, json=GOOD, headers=NAMES)

    assert against(answer).predict("tiny", [ROW]).predictions == [1]
    problems.append(httpx.ReadTimeout("too long"))
    with pytest.raises(ServingError, match="0 UNREACHABLE: too long"):
        against(answer).predict("tiny", [ROW])
    assert len(waits) == 2


@pytest.mark.parametrize(
    "page",
    [
        httpx.Response(200, text="<html>Log in</html>", headers=NAMES),
        httpx.Response(200, json=GOOD),
        httpx.Response(200, json={"hello": 1}, headers=NAMES),
        httpx.Response(200, json=[1], headers=NAMES),
    ],
)
def test_an_answer_of_another_program_is_no_prediction(page: httpx.Response) -> None:
    with pytest.raises(ServingError, match="200 NOT_OF_THE_SERVER"):
        against(lambda _: page).predict("tiny", [ROW])


def test_a_date_to_try_again_at_is_waited_for(waits: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    busy = httpx.Response(503, headers={"Retry-After": later})
    replies = iter([busy, httpx.Response(200, json=GOOD, headers=NAMES)])
    assert against(lambda _: next(replies)).predict("tiny", [ROW]).predictions == [1]
    assert 17 < waits[0] <= 20


def test_a_page_of_a_proxy_is_told_as_such() -> None:
    with pytest.raises(ServingError, match="502 NOT_OF_THE_SERVER: <html>Bad"):
        against(lambda _: httpx.Response(502, text="<html>Bad gateway")).predict("tiny", [ROW])


def test_the_file_works_alone(tmp_path: Path) -> None:
    copied = tmp_path / "flywheel_client.py"
    copied.write_text(Path(module.__file__).read_text())
    program = "import flywheel_client as it; print(it.Client('http://127.0.0.1:1'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
