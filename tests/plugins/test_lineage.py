"""What operators tell OpenLineage, against what they published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import Asset

from include.due.definitions import DEFINITION
from include.due.stages import ALL, LANDING
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake, Writer
from include.train_tune.prepare import Prepared
from include.use_cases.loader import get
from plugins.lineage import tables_behind
from plugins.operators.feature import BuildFeaturesOperator
from plugins.operators.ingest_label import IngestRowsOperator
from plugins.operators.train_tune import FinishTrainingOperator

REPO = Path(__file__).resolve().parents[2]
NAME = "flight_delays"
TI = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)


@pytest.fixture
def lake(home: Path) -> Lake:
    return Lake(str(home / "lake"))


def publish(
    lake: Lake, stage: str, key: str, run_id: str, token: int = 1, rows: int = 2, **more: Any
) -> None:
    frame = pd.DataFrame({"x": [float(token)] * rows})
    data = to_arrow(frame, arrow_schema({"x": "float64"}))
    lake.table(NAME, stage).publish(
        data, partition=key, schema=data.schema, writer=Writer(run_id, 1, token, "c"), **more
    )


def outlets(*names: str) -> list[Asset]:
    return [Asset(name=f"{NAME}.{name}", uri=f"flywheel://{NAME}/{name}") for name in names]


def version_of(dataset: Any) -> str:
    return dataset.facets["version"].datasetVersion


def test_a_partition_with_what_it_was_made_from(lake, home):
    publish(lake, "clean", "2013-04", "other")
    publish(lake, "clean", "2013-05", "other")
    publish(lake, "reference_planes", ALL, "other")
    clean = lake.table(NAME, "clean")
    inputs = [clean.read_input("2013-05")[1], lake.table(NAME, "reference_planes").pin()]
    publish(lake, "features", "2013-04", "someone else's", rows=9)
    publish(lake, "features", "2013-05", "d/r/t/-1", inputs=inputs, consumed={DEFINITION: 7})
    task = BuildFeaturesOperator(task_id="t", use_case=NAME, outlets=outlets("features"))

    told = task.get_openlineage_facets_on_complete(TI)

    assert [(each.namespace, each.name) for each in told.outputs] == [
        ("file", f"{home}/lake/{NAME}/features")
    ]
    (features,) = told.outputs
    assert version_of(features) == "1"
    assert features.facets["lakePartition"].partitions == ["2013-05"]
    assert features.facets["lakePartition"].tableId == lake.table(NAME, "features").pin().table_id
    assert features.outputFacets["outputStatistics"].rowCount == 2
    assert {each.name: version_of(each) for each in told.inputs} == {
        f"{home}/lake/{NAME}/clean": "1",
        f"{home}/lake/{NAME}/reference_planes": "0",
    }
    by_name = {each.name: each.facets["lakePartition"] for each in told.inputs}
    assert by_name[f"{home}/lake/{NAME}/clean"].partitions == ["2013-05"]
    assert by_name[f"{home}/lake/{NAME}/clean"].tableId == clean.pin().table_id
    assert by_name[f"{home}/lake/{NAME}/reference_planes"].partitions == []


def test_an_ingestion_names_the_landed_files_of_each_partition(lake, home):
    for token, key in enumerate(("2013-04", "2013-05"), start=1):
        publish(lake, "raw", key, "d/r/t/-1", consumed={LANDING: token})
    task = IngestRowsOperator(task_id="t", use_case=NAME, outlets=outlets("raw"))

    told = task.get_openlineage_facets_on_complete(TI)

    (raw,) = told.outputs
    assert raw.facets["lakePartition"].partitions == ["2013-04", "2013-05"]
    assert raw.outputFacets["outputStatistics"].rowCount == 4
    assert {(each.name, version_of(each)) for each in told.inputs} == {
        (f"{home}/landing/flights/2013-04/*.csv", f"{1:016x}"),
        (f"{home}/landing/flights/2013-05/*.csv", f"{2:016x}"),
    }


def test_a_task_that_published_nothing_tells_nothing(lake):
    task = BuildFeaturesOperator(task_id="t", use_case=NAME, outlets=outlets("features"))
    told = task.get_openlineage_facets_on_complete(TI)
    assert (told.inputs, told.outputs) == ([], [])


def test_a_training_reads_its_pins_and_makes_a_model_version(stub, registry, home):
    pins = [{"table": f"{NAME}.features", "version": 3, "table_id": "f-1"}]
    prepared = Prepared("abc", "2013-02", ["2013-02"], "2013-02", pins, [], 1, "", [], {})
    recall = stub("include.train_tune.prepare.recall", prepared)
    registry.tracking_uri = "http://127.0.0.1:5000"
    task = FinishTrainingOperator(task_id="t", use_case=NAME, rounds=[("p", "t")])
    task.mlflow_run_id, task.model_version = "abc", "4"

    told = task.get_openlineage_facets_on_complete(TI)

    recall.assert_called_once_with(registry, "abc")
    (read,), (model,) = told.inputs, told.outputs
    assert (read.name, version_of(read)) == (f"{home}/lake/{NAME}/features", "3")
    assert read.facets["lakePartition"].tableId == "f-1"
    assert (model.namespace, model.name, version_of(model)) == (
        "http://127.0.0.1:5000",
        f"models/{NAME}",
        "4",
    )


def test_in_a_bucket_datasets_are_named_by_bucket_and_key(monkeypatch):
    from plugins.lineage import _named

    assert _named(Lake("s3://bucket/a/lake"), f"{NAME}.raw") == (
        "s3://bucket",
        f"a/lake/{NAME}/raw",
    )
    assert _named(Lake("s3://bucket"), f"{NAME}.raw") == ("s3://bucket", f"{NAME}/raw")


def test_telling_imports_no_phase():
    """It happens in every task: the modules of ingestion took 35 ms of each."""
    code = (
        "import sys, plugins.lineage; "
        "print([m for m in sys.modules if m.startswith(('include.ingest', 'include.modelling'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_tables_behind_assets():
    names = ("raw", "labels", "references", "drift", "training_request", "champion", "features")
    assert tables_behind(outlets(*names), get(NAME)) == [
        "raw", "labels", "reference_weather", "reference_planes", "monitoring", "decisions",
        "promotions", "features",
    ]  # fmt: skip
