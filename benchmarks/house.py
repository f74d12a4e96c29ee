"""A stack of its own for the measurements: temporary home, free ports, one use case, a champion."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from include.lake.table import Lake
from include.settings import Settings
from include.use_cases.loader import ROOT
from scripts.demo.airflow_api import AirflowApi
from scripts.demo.watch import Watch
from scripts.land_flights import land_outcomes, land_rows
from scripts.stack.settings import REPO, StackSettings
from scripts.stack.stack import Stack

USE_CASE = "flight_delays"
ROWS_OF = ["2013-01", "2013-02", "2013-03"]
OUTCOMES_OF = ["2013-01", "2013-02"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class House:
    """One home folder, its stack and what is in it."""

    stack: Stack
    folder: Path
    say: Say

    @property
    def settings(self) -> Settings:
        """Where the lake, MLflow and serving of this stack are."""
        return Settings.from_env(self.stack.environment())

    @property
    def lake(self) -> Lake:
        """The stack's lake."""
        return Lake(self.settings.lake_uri)

    @property
    def landing(self) -> Path:
        """Where files land."""
        return Path(self.settings.landing_uri)

    @property
    def api(self) -> AirflowApi:
        """Airflow's REST API."""
        return AirflowApi(self.stack)

    def watch(self) -> Watch:
        """Follow the runs from now on: a failed task ends the wait at once."""
        return Watch(self.api, say=self.say)

    def served(self) -> str | None:
        """Give the model version that answers; None while none does."""
        address = f"{self.settings.serving_url}/{USE_CASE}/version"
        answer = httpx.get(address, timeout=10, trust_env=False)
        return answer.json().get("model_version") if answer.is_success else None

    def make_champion(self) -> None:
        """Land the first months and wait until a champion serves and all is at rest."""
        watch = self.watch()
        for month in ROWS_OF:
            land_rows(self.landing, month)
        for month in OUTCOMES_OF:
            land_outcomes(self.landing, month)
        watch.until_at_rest(lambda: self.served() is not None, "a first champion that serves")


@contextmanager
def nobodys_environment() -> Iterator[None]:
    """Forget where the caller's own stack is: no benchmark may write to somebody's lake."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("AIRFLOW__", "FLYWHEEL_", "MLFLOW_")):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def variables(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and put back what was there."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def one_use_case(folder: Path, say: Say) -> Iterator[House]:
    """Run a stack with one use case and the benchmarks' Dags below `folder`; stop it at the end."""
    shutil.copytree(ROOT / USE_CASE, folder / "use_cases" / USE_CASE)
    stack = Stack(StackSettings.on_free_ports(folder / "home"), say=say)
    with variables(_environment(folder)):
        try:
            stack.up()
            yield House(stack, folder, say)
        finally:
            stack.down()


def _environment(folder: Path) -> dict[str, str]:
    bundles = {"dags-folder": REPO / "dags", "benchmarks": REPO / "benchmarks" / "dags"}
    bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    return {
        "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [
                {"name": name, "classpath": bundle, "kwargs": {"path": str(path)}}
                for name, path in bundles.items()
            ]
        ),
    }
