"""Who may ask the scoring server: hosts, keys, rates, and the headers of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lxml import html

from include.errors import ConfigError
from include.serving.__main__ import perimeter_of
from include.serving.keys import KeyFile
from include.serving.perimeter import LOOPBACK, Perimeter
from include.serving.rejected import Rejected
from include.settings import Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing binds to it here


@pytest.fixture
def keys(settings: Settings) -> KeyFile:
    return KeyFile(settings.serving_keys)


@pytest.fixture
def asked(client: TestClient) -> Callable[..., Any]:
    """Ask for a score: `asked(token)`."""
    body = {"instances": [client.app.scoring._models.live("tiny").model.example]}  # type: ignore[attr-defined]

    def ask(token: str | None = None, use_case: str = "tiny", **headers: str) -> Any:
        sent = headers | ({"Authorization": f"Bearer {token}"} if token else {})
        return client.post(f"/{use_case}/invocations", json=body, headers=sent)

    return ask


def test_without_any_key_whoever_reaches_loopback_may_ask(asked: Callable[..., Any]) -> None:
    assert asked().status_code == 200


def test_from_the_first_key_on_a_key_is_needed_and_a_revoked_one_is_none(
    asked: Callable[..., Any], keys: KeyFile
) -> None:
    key, token = keys.make("billing")
    refused = asked()
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json() == {
        "error_code": "UNAUTHENTICATED",
        "message": "Send a key of this server: `Authorization: Bearer <key>`.",
    }
    assert asked(token).status_code == 200
    assert asked(token[:-1] + "-").status_code == 401
    assert asked(Authorization=f"Basic {token}").status_code == 401
    assert asked(Authorization=f"bearer  {token} ").status_code == 200
    keys.revoke(key.id)
    assert asked(token).status_code == 401
    keys.path.unlink()
    assert asked().status_code == 401, "a file that is lost must not open the door"


def test_a_key_asks_its_own_use_cases_alone(asked: Callable[..., Any], keys: KeyFile) -> None:
    _, other = keys.make("other", ["churn"])
    _, tiny = keys.make("tiny", ["tiny"])
    assert (asked(tiny).status_code, asked(other).status_code) == (200, 403)
    # Who has no key learns nothing of which use cases there are.
    assert asked(None, "churn").status_code == asked(None, "nothing").status_code == 401
    assert asked(other, "churn").status_code == 404


def test_an_expired_key_is_told_by_its_id(asked: Callable[..., Any], keys: KeyFile) -> None:
    key, token = keys.make("old", days=1e-9)
    answer = asked(token)
    assert answer.status_code == 401
    assert answer.json()["message"] == f"Key {key.id} has expired. Ask for a new one."


def test_a_file_of_keys_that_cannot_be_read_lets_nobody_in(
    asked: Callable[..., Any], keys: KeyFile
) -> None:
    _, token = keys.make("billing")
    keys.path.write_text("{")
    answer = asked(token)
    assert answer.status_code == 503
    assert str(keys.path) not in answer.text


def test_what_names_columns_needs_a_key_and_what_probes_ask_does_not(
    client: TestClient, keys: KeyFile
) -> None:
    _, token = keys.make("billing", ["tiny"])
    open_to_all = ["/health", "/metrics", "/tiny/ping", "/tiny/health", "/tiny/version"]
    assert {client.get(path).status_code for path in open_to_all} == {200}
    for path in ("/openapi.json", "/docs"):
        assert client.get(path).status_code == 401
        shown = client.get(path, headers={"Authorization": f"Bearer {token}"})
        assert shown.status_code == 200


def test_refused_requests_are_counted(
    client: TestClient, asked: Callable[..., Any], keys: KeyFile
) -> None:
    keys.make("billing")
    for _ in range(3):
        asked()
    asked(None, "made_up")
    metrics = client.get("/metrics").text
    counted = 'flywheel_serving_requests_total{status="401",use_case="tiny"} 3.0'
    assert counted in metrics
    assert "made_up" not in metrics


def scope(token: str = "", host: str = "localhost") -> dict[str, Any]:
    headers = [(b"host", host.encode()), (b"authorization", f"Bearer {token}".encode())]
    return {"headers": headers}


def test_a_key_may_ask_so_often_a_second_and_save_up_a_seconds_worth(keys: KeyFile) -> None:
    now = [100.0]
    perimeter = Perimeter(keys, clock=lambda: now[0])
    _, slow = keys.make("slow", rate=4)
    _, other = keys.make("other", rate=4)

    refused: list[tuple[int, str]] = []

    def let_in(token: str) -> int:
        count = 0
        while True:
            try:
                perimeter.check_key(scope(token), "tiny")
            except Rejected as error:
                refused.append((error.status, error.headers["Retry-After"]))
                return count
            count += 1

    assert let_in(slow) == 4
    assert let_in(other) == 4, "another key has its own"
    now[0] += 0.5
    assert let_in(slow) == 2
    now[0] += 1_000
    assert let_in(slow) == 4
    assert set(refused) == {(429, "1")}


def test_a_rate_below_one_a_second_waits_as_long_as_it_says(keys: KeyFile) -> None:
    now = [0.0]
    perimeter = Perimeter(keys, clock=lambda: now[0])
    _, token = keys.make("rare", rate=0.1)
    perimeter.check_key(scope(token), "tiny")
    with pytest.raises(Rejected) as refused:
        perimeter.check_key(scope(token), "tiny")
    now[0] += int(refused.value.headers["Retry-After"])
    perimeter.check_key(scope(token), "tiny")


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("localhost", True), ("LOCALHOST:8000", True), ("127.0.0.1:8000", True),
        ("[::1]:8000", True), ("[::1]", True), ("evil.example", False), ("", False),
        ("localhost.evil.example", False), ("evil.example:8000", False),
        ("127.0.0.1.evil.example:8000", False), ("[::2]:8000", False),
    ],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused(keys: KeyFile, host: str, fine: bool) -> None:
    perimeter = Perimeter(keys, LOOPBACK)
    if fine:
        perimeter.check_host(scope(host=host))
    else:
        with pytest.raises(Rejected, match="Host") as refused:
            perimeter.check_host(scope(host=host))
        assert refused.value.status == 400
    Perimeter(keys, ["*"]).check_host(scope(host=host))


def test_two_hosts_are_none(keys: KeyFile) -> None:
    twice = {"headers": [(b"host", b"localhost"), (b"host", b"localhost")]}
    with pytest.raises(Rejected):
        Perimeter(keys, LOOPBACK).check_host(twice)


@pytest.mark.parametrize("path", ["/tiny/invocations", "/health", "/docs", "/nothing"])
def test_every_answer_has_headers_that_keep_browsers_out(client: TestClient, path: str) -> None:
    for host, method in (("localhost", "GET"), ("evil.example", "GET"), ("localhost", "POST")):
        answer = client.request(
            method, path, headers={"Host": host, "Origin": "https://evil.example"}
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_another_sites_page_gets_no_leave_to_ask(client: TestClient) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/tiny/invocations", headers=preflight)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Settings]:
    return lambda **more: Settings.from_env({"FLYWHEEL_HOME": str(tmp_path), **more})


def test_beyond_loopback_it_starts_with_keys_or_leave_alone(made: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0: beyond this machine .*`make api-key NAME"):
        perimeter_of(made(FLYWHEEL_SERVING_HOST=EVERYWHERE))
    perimeter_of(made())
    perimeter_of(made(FLYWHEEL_SERVING_HOST=EVERYWHERE, FLYWHEEL_SERVING_OPEN="1"))
    keys = KeyFile(made().serving_keys)
    _, token = keys.make("billing")
    beyond = perimeter_of(made(FLYWHEEL_SERVING_HOST=EVERYWHERE))
    keys.path.unlink()
    with pytest.raises(Rejected):
        beyond.check_key(scope(token), "tiny")
    keys.path.write_text("{")
    with pytest.raises(ConfigError, match="is no file of API keys"):
        perimeter_of(made())


def test_the_page_of_the_api_loads_nothing_and_its_example_is_answered(client: TestClient) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    shown = html.fromstring(answer.text)
    assert not shown.xpath("//script | //link | //img | //iframe | //*[@src]")
    columns = [one.text for one in shown.findall(".//td/code")]
    described = client.get("/openapi.json").json()["paths"]["/tiny/invocations"]["post"]
    forms = described["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert columns == [*forms[0]["properties"]["instances"]["items"]["properties"]]
    example = json.loads(shown.find(".//pre").text)
    assert client.post("/tiny/invocations", json=example).status_code == 200
