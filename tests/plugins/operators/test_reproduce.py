"""Reproduce: a verdict is a result, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.train_tune.reproduce import Reproduced
from plugins.operators.reproduce import ReproduceModelOperator
from tests.support.tasks import FAILURES, execute, is_small_json, make_context


def run(registry: Any, version: str = "2") -> dict[str, Any]:
    registry.versions.return_value = ["1", "2"]
    task = ReproduceModelOperator(task_id="r", use_case="weather_regimes")
    return execute(task, make_context(version=version))


@pytest.mark.parametrize("verdict", ["identical", "equal", "different", "impossible"])
def test_every_verdict_is_a_result(stub, registry, verdict):
    metrics = {"silhouette": {"then": 0.5, "stored": 0.5, "now": float("nan")}}
    done = Reproduced("2", "abc", verdict, "Because.", {}, [], metrics=metrics)
    double = stub("include.train_tune.reproduce.reproduce", done)

    facts = run(registry)

    assert (facts["verdict"], facts["because"]) == (verdict, "Because.")
    assert facts["metrics"]["silhouette"]["now"] is None, "strict JSON has no NaN"
    assert is_small_json(facts)
    use_case, version, _, given = double.call_args.args
    assert (use_case, version, given) == ("weather_regimes", "2", registry)


def test_a_version_that_does_not_exist_is_refused_with_what_there_is(stub, registry):
    double = stub("include.train_tune.reproduce.reproduce", None)
    with pytest.raises(AirflowFailException, match=r"'9' is not in the registry\. There is: 1, 2"):
        run(registry, "9")
    double.assert_not_called()


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_it_fails_in_airflows_words(stub, registry, error, seen):
    stub("include.train_tune.reproduce.reproduce", error)
    with pytest.raises(seen, match=str(error)):
        run(registry)
