"""Operators run as the task runner runs them, but without Airflow's database."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
from airflow.sdk import Asset, BaseOperator
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.lake.errors import StaleAttempt

OUTLET = Asset(name="weather_regimes.test")

FAILURES = [
    pytest.param(ConfigError("a rule of the file"), AirflowFailException, id="config"),
    pytest.param(DataContractError("a rule of the data"), AirflowFailException, id="data"),
    pytest.param(StaleAttempt("a later attempt was faster"), AirflowSkipException, id="stale"),
    pytest.param(ServiceUnavailable("nobody answers"), ServiceUnavailable, id="service"),
]
"""An error of the library, and what Airflow sees: only a service's silence is worth a retry."""


@dataclass
class Attempt:
    """What operators use of a task instance.

    Attributes
    ----------
    number : int
        Of the attempt, from 1.
    run : int
        Of the Dag run, from 1: a later run has a higher number.
    pushed : dict
        XComs beside the returned one, by key.
    pulled : dict
        What `xcom_pull` finds, by key, or by task and key.
    active : dict
        Number of queued and running runs, by Dag.
    """

    number: int = 1
    run: int = 1
    pushed: dict[str, Any] = field(default_factory=dict)
    pulled: dict[Any, Any] = field(default_factory=dict)
    active: dict[str, int] = field(default_factory=dict)
    dag_id: str = "weather_regimes__test"
    task_id: str = "do"
    map_index: int = 3

    @property
    def run_id(self) -> str:
        """Airflow's id of the Dag run."""
        return f"manual__{self.run}"

    @property
    def try_number(self) -> int:
        """The attempt's number, from 1."""
        return self.number

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed."""
        self.pushed[key] = value

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value") -> Any:
        """Return what is there for a key; of several tasks a list."""
        task = task_ids if task_ids is None or isinstance(task_ids, str) else task_ids[0]
        found = self.pulled.get((task, key), self.pulled.get(key))
        return found if isinstance(task_ids, str) or found is None else list(found)

    def get_dr_count(self, dag_id: str, states: list[str]) -> int:
        """Count Dag runs that are queued or running."""
        assert states == ["queued", "running"]
        return self.active.get(dag_id, 0)


def make_context(
    *,
    attempt: int = 1,
    run: int = 1,
    key: str | None = None,
    run_type: str = "manual",
    clear_number: int = 0,
    user: str | None = None,
    conf: dict[str, Any] | None = None,
    pulled: dict[Any, Any] | None = None,
    active: dict[str, int] | None = None,
    **params: Any,
) -> dict[str, Any]:
    """Make a task's context, with Airflow's own accessors of outlet events.

    `params` are those of the Dag's form, as they stand in this run; `conf` is what REST was given.
    """
    ti = Attempt(attempt, run, pulled=pulled or {}, active=active or {})
    dag_run = SimpleNamespace(
        run_type=run_type,
        partition_key=key,
        conf=conf,
        clear_number=clear_number,
        triggering_user_name=user,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
    )
    return {
        "ti": ti,
        "run_id": ti.run_id,
        "dag_run": dag_run,
        "dag": SimpleNamespace(params=params),
        "params": params,
        "partition_key": key,
        "outlet_events": OutletEventAccessors(),
    }


def execute(operator: BaseOperator, context: dict[str, Any]) -> Any:
    """Render, prepare and run a copy of an operator, as the task runner does.

    Airflow refuses `execute` from anywhere else, hence the sentinel.
    """
    task = operator.prepare_for_execution()
    task.render_template_fields(context)
    task.pre_execute(context)
    name = f"{type(operator).__name__}__sentinel"
    return task.execute(context, **{name: ExecutorSafeguard.sentinel_value})


def emitted(context: dict[str, Any], outlet: Asset = OUTLET) -> tuple[set[str], dict[str, Any]]:
    """Return partition keys and extra of what was emitted on an outlet."""
    event = context["outlet_events"][outlet]
    return set(event.partition_keys), dict(event.extra)


def is_small_json(value: Any) -> bool:
    """Whether XCom takes a value (strict JSON, the same when read back), and it is a few facts."""
    text = json.dumps(value, allow_nan=False)
    return bool(json.loads(text) == value) and len(text) < 4000


def stub(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], Mock]:
    """Return a function that puts an autospecced double in the place of a library function."""

    def put(target: str, result: Any) -> Mock:
        module, _, name = target.rpartition(".")
        original = getattr(importlib.import_module(module), name)
        outcome = "side_effect" if isinstance(result, Exception) else "return_value"
        double: Mock = create_autospec(original, **{outcome: result})
        monkeypatch.setattr(target, double)
        return double

    return put
