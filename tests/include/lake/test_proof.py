"""A store is asked whether it keeps Delta's commits; those that would lose some are refused."""

from __future__ import annotations

import threading
import time
from http.server import ThreadingHTTPServer

import pytest

from include.errors import ServiceUnavailable, SettingsError
from include.lake.proof import ROUNDS, WRITERS, prove
from tests.support.object_store import _Handler, object_store

URI = "s3://bucket/lake"


class Unconditional(_Handler):
    """Ignores conditions, as s3rver does."""

    def _put(self, body):
        del self.headers["If-None-Match"]
        return super()._put(body)


class ChecksThenWrites(_Handler):
    """Checks the condition before the body is stored, without a lock, as SeaweedFS 4.16 did."""

    def do_PUT(self):  # noqa: N802 - the name that http.server looks for
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        taken = self._key() in self.objects
        time.sleep(0.05)
        if not taken:
            del self.headers["If-None-Match"]
        self._answer(self._key(), lambda: self._put(body))


class KeepsTheLast(_Handler):
    """Tells one that it succeeded, and keeps what another sent."""

    def _put(self, body):
        answer = super()._put(body)
        self.objects[self._key()] = body
        return answer


def served(handler):
    state = {"objects": {}, "fault": [None, "", ""], "lock": threading.Lock()}
    own = type("Own", (handler,), state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
    }
    return server, options, state["objects"]


def test_the_tests_own_store_passes():
    with object_store() as store:
        assert prove(URI, store.options) is None
        assert store.listed() == []


@pytest.mark.parametrize(
    ("handler", "found"),
    [
        (Unconditional, f"and {WRITERS + 1} succeeded"),
        (ChecksThenWrites, r"and [2-9] succeeded"),
        (KeepsTheLast, r"writer \d was told that it succeeded, and 'late writer' is kept"),
    ],
)
def test_a_store_that_loses_commits_is_refused_with_words(handler, found):
    server, options, objects = served(handler)
    try:
        with pytest.raises(SettingsError, match=found) as refused:
            prove(URI, options)
    finally:
        server.shutdown()
        server.server_close()
    assert str(refused.value).startswith(f"{URI}: of {WRITERS + 1} conditional PUTs")
    assert "Delta would lose commits here" in str(refused.value)
    assert not objects, "what was tried is removed"


def test_one_write_of_each_round_wins(monkeypatch):
    """The good store is asked by as many writers and as often as is said."""
    asked = []

    class Counting(_Handler):
        def _put(self, body):
            asked.append((self._key(), self.headers.get("If-None-Match")))
            return super()._put(body)

    server, options, _ = served(Counting)
    try:
        prove(URI, options)
    finally:
        server.shutdown()
        server.server_close()
    assert len(asked) == ROUNDS * (WRITERS + 1)
    assert {condition for _, condition in asked} == {"*"}
    assert len({key for key, _ in asked}) == ROUNDS


def test_a_store_that_does_not_answer_may_be_asked_again():
    options = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
    }
    with pytest.raises(ServiceUnavailable, match="Check AWS_ENDPOINT_URL"):
        prove(URI, options)


def test_a_folder_needs_no_proof(tmp_path):
    assert prove(str(tmp_path / "lake"), {}) is None
    assert not (tmp_path / "lake").exists()
