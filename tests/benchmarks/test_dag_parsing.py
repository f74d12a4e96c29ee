"""The measurement of Dag parsing, on Dag files of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.dag_parsing import check

REPO = Path(__file__).resolve().parents[2]


def file(dags=8, heavy=()):
    return {"seconds": 0.1, "dags": dags, "heavy": list(heavy)}


def test_light_files_with_dags_pass():
    assert check({"a.py": file(), "errors.py": file(dags=0)}) is None


def test_a_heavy_import_is_refused_with_file_and_remedy():
    with pytest.raises(RuntimeError, match=r"b\.py imports mlflow, pandas\. Import it inside"):
        check({"a.py": file(), "b.py": file(heavy=["mlflow", "pandas"])})


def test_files_without_any_dag_are_refused():
    with pytest.raises(RuntimeError, match="made no Dag"):
        check({"a.py": file(dags=0)})


def test_each_file_is_parsed_alone_its_dags_counted_and_heavy_modules_found(tmp_path):
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "one.py").write_text(
        "from airflow.sdk import DAG\n"
        "for i in range(3):\n"
        "    globals()[f'u__{i}'] = DAG(f'u__{i}')\n"
    )
    (tmp_path / "dags" / "two.py").write_text("import pandas\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.parse_dags", str(tmp_path / "dags")],
        cwd=REPO,
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["import_airflow_sdk_s"] > 0
    one, two = found["files"]["one.py"], found["files"]["two.py"]
    assert (one["dags"], one["heavy"]) == (3, [])
    assert two["dags"] == 0
    assert "pandas" in two["heavy"]
    assert two["seconds"] > one["seconds"] > 0
