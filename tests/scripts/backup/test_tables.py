"""Tables of a lake that is written to: each is copied at one version, and is whole there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from include.due.stages import STAGES
from include.errors import DataContractError
from include.lake import attempts
from include.lake.attempts import next_token
from include.lake.table import Lake
from scripts.backup import tables
from scripts.backup.trees import Digests, Tree, digests_below
from tests.support.object_stores import object_store


def write(lake: Path, table: str, value: int) -> None:
    write_deltalake(str(lake / table), pa.table({"value": [value]}), mode="append")


def save(lake: Tree, names: list[str], copy: Path) -> tuple[Digests, Digests]:
    """Note tables and copy them; return the digests of their logs, and of their rows."""
    versions, logs = tables.note(lake, names, copy)
    return logs, tables.save(lake, versions, copy)


def values(lake: Path, table: str) -> list[int]:
    return sorted(DeltaTable(str(lake / table)).to_pyarrow_table()["value"].to_pylist())


def test_each_stage_is_noted_before_what_it_is_made_from():
    names = [f"a/{name}" for name in STAGES if name not in ("reference", "training")]
    names += ["a/reference_planes", "a/quarantine", "a/landed", "a/promotions", "a/requests"]
    order = [*tables.naming_models(names), *tables.below_models(names)]
    assert sorted(order) == sorted(names)
    place = {name.removeprefix("a/").split("_")[0]: n for n, name in enumerate(order)}
    for stage in STAGES.values():
        for source in stage.made_from:
            if stage.name in place:
                assert place[stage.name] < place[source], f"{stage.name} before {source}"
    assert place["landed"] == max(place.values()), "what landed is taken in again, never missed"
    assert place["quarantine"] < place["raw"]


def test_labels_are_noted_before_the_answers_and_these_before_the_questions_and_their_rows():
    """In the wrong order a copy would hold labels whose answers it lacks: they were withdrawn."""
    names = ["clean", "features", "label_answers", "label_boxes", "label_history", "label_rounds"]
    order = tables.below_models([f"a/{name}" for name in [*names, "labels", "landed"]])
    assert [name.removeprefix("a/") for name in order] == [
        "labels",
        "label_history",
        "label_answers",
        "label_boxes",
        "label_rounds",
        "features",
        "clean",
        "landed",
    ]


def test_what_is_committed_after_the_versions_were_noted_is_not_in_the_copy(tmp_path):
    lake, copy = tmp_path / "lake", tmp_path / "copy"
    for value in range(3):
        write(lake, "daily/raw", value)
    write(lake, "daily/landed", 0)
    tree = Tree(str(lake))
    versions, _ = tables.note(tree, tables.tables_in(tree.paths()), copy)
    write(lake, "daily/raw", 3)
    DeltaTable(str(lake / "daily/raw")).create_checkpoint()
    write(lake, "daily/begun_later", 9)
    tables.save(tree, versions, copy)

    assert versions == {"daily/landed": 0, "daily/raw": 2}
    assert values(copy, "daily/raw") == [0, 1, 2]
    assert DeltaTable(str(copy / "daily/raw"), version=1).version() == 1, "earlier ones too"
    assert not (copy / "daily/begun_later").exists()


def test_a_table_whose_log_begins_with_a_checkpoint_is_copied(tmp_path):
    lake, copy = tmp_path / "lake", tmp_path / "copy"
    for value in range(3):
        write(lake, "daily/requests", value)
    table = DeltaTable(str(lake / "daily/requests"))
    table.create_checkpoint()
    for number in (0, 1):
        (lake / "daily/requests/_delta_log" / f"{number:020}.json").unlink()
    tree = Tree(str(lake))
    save(tree, ["daily/requests"], copy)
    assert values(copy, "daily/requests") == [0, 1, 2]


def test_a_log_that_is_shortened_before_the_rows_are_copied_does_no_harm(tmp_path, monkeypatch):
    """It is kept for two minutes, here for none; artifacts may take longer."""
    monkeypatch.setitem(attempts.APPENDED, "delta.logRetentionDuration", "interval 0 seconds")
    lake, copy = Lake(str(tmp_path / "lake")), tmp_path / "copy"
    for _ in range(30):
        newest = next_token(lake, "daily")
    tree = Tree(lake.uri)
    versions, _ = tables.note(tree, ["daily/attempts"], copy)
    for _ in range(30):
        next_token(lake, "daily")
    entry = f"daily/attempts/_delta_log/{versions['daily/attempts']:020}.json"
    assert entry not in tree.paths(), "it is shortened"
    tables.save(tree, versions, copy)
    assert next_token(Lake(str(copy)), "daily") == newest + 1


def test_a_log_that_cannot_be_read_in_the_copy_ends_the_backup_with_words(tmp_path):
    lake, copy = tmp_path / "lake", tmp_path / "copy"
    for value in range(2):
        write(lake, "daily/raw", value)
    (lake / "daily/raw/_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(DataContractError, match=r"raw: version 1 cannot be opened in the copy"):
        save(Tree(str(lake)), ["daily/raw"], copy)


def test_a_file_that_is_gone_ends_the_backup(tmp_path):
    lake = tmp_path / "lake"
    write(lake, "daily/raw", 0)
    next((lake / "daily/raw").glob("*.parquet")).unlink()
    tree = Tree(str(lake))
    with pytest.raises(DataContractError, match="version 0 names 1 files that are not in the copy"):
        save(tree, ["daily/raw"], tmp_path / "copy")


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """Options of an object store with the bucket `flywheel`."""
    login = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    with object_store() as url:
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **login)
        client.create_bucket(Bucket="flywheel")
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            **{name.upper(): value for name, value in login.items()},
        }


def test_a_lake_in_a_bucket_is_copied_to_a_folder_and_back(bucket, tmp_path):
    copy, here = tmp_path / "copy", "s3://flywheel/lake"
    for value in range(2):
        write_deltalake(
            f"{here}/daily/raw",
            pa.table({"partition": ["a b"], "value": [value]}),
            mode="append",
            partition_by=["partition"],
            storage_options=bucket,
        )
    tree = Tree(here, bucket)
    logs, rows = save(tree, tables.tables_in(tree.paths()), copy)
    assert {**logs, **rows} == digests_below(copy)
    assert values(copy, "daily/raw") == [0, 1]

    there = Tree("s3://flywheel/other/lake", bucket)
    there.fill(copy)
    opened = DeltaTable("s3://flywheel/other/lake/daily/raw", storage_options=bucket)
    assert sorted(opened.to_pyarrow_table()["value"].to_pylist()) == [0, 1]
    there.empty()
    assert (there.paths(), len(tree.paths())) == ([], 4)
