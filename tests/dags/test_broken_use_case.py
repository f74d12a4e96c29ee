"""One broken use case is seen with its error, and the others' Dags stay."""

from __future__ import annotations

import shutil
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def test_a_broken_use_case_is_named_and_the_others_stay(tmp_path, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    shutil.copytree(
        REPO / "include/use_cases",
        tmp_path / "use_cases",
        ignore=shutil.ignore_patterns("*.py[co]"),
    )
    path = tmp_path / "use_cases/air_time/use_case.yaml"
    path.write_text(path.read_text().replace("trials:", "trails:"))
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "use_cases"))

    bag = DagBag(str(REPO / "dags"))

    others = {"digits", "flight_delays", "votes", "weather_regimes"}
    assert {dag_id.split("__")[0] for dag_id in bag.dags} == others
    assert [Path(name).name for name in bag.import_errors] == ["use_case_errors.py"]
    (message,) = bag.import_errors.values()
    assert "air_time/use_case.yaml" in message
    assert "trails" in message
