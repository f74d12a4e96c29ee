"""The server keeps what its own description, /openapi.json, says: valid rows are scored.

Schemathesis makes requests of the description. `tests/faults/test_serving_fuzz.py` sends what the
description does not know.
"""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.faults.test_serving_fuzz import PYTHON, make_model
from tests.support.serving import served

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
PRECISE = {"instances", "dataframe_records"}
"""Forms whose rows the description knows whole; of the others it knows no types by name."""
TOO_LARGE = "is infinite or too large for these values"
INVOKE = "/tiny/invocations"
EXAMPLES = 150
"""For each of both kinds; 2,000 take 4 minutes."""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        pytest.MonkeyPatch.context() as patch,
        served(make_model(), tmp_path_factory.mktemp("described"), patch, PYTHON) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def described(client):
    return schemathesis.openapi.from_dict(client.get("/openapi.json").json())


def send(case, client):
    arguments = case.as_transport_kwargs(base_url="http://localhost")
    return client.request(**{name: arguments[name] for name in arguments if name != "cookies"})


def each(strategy, check):
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def run(case):
        check(case)

    run()


def test_what_the_description_allows_is_scored(client, described):
    seen = Counter()

    def check(case):
        reply = send(case, client)
        case.validate_response(reply, CHECKS)
        if not (isinstance(case.body, dict) and case.body.keys() & PRECISE):
            assert reply.status_code in (200, 400), reply.text
            return
        seen[reply.status_code] += 1
        assert reply.status_code == 200 or TOO_LARGE in reply.text, (case.body, reply.text)

    each(described[INVOKE]["POST"].as_strategy(GenerationMode.POSITIVE), check)
    assert seen[200] > EXAMPLES / 4, seen


def test_what_it_does_not_allow_is_refused_in_its_words(client, described):
    seen = Counter()

    def check(case):
        reply = send(case, client)
        seen[reply.status_code] += 1
        case.validate_response(reply, CHECKS)

    each(described[INVOKE]["POST"].as_strategy(GenerationMode.NEGATIVE), check)
    assert seen[200] == 0, seen
