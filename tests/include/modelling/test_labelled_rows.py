"""The newest labelled rows, against the simple way: read all, join, sort, take the last."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.errors import ConfigError, DataContractError
from include.lake.frames import to_pandas
from include.lake.table import Lake, LakeTable
from include.modelling.labelled_rows import LABEL, LabelledRows
from tests.support.lakes import fill, publish, tiny_lake
from tests.support.packages import TINY, tiny_rows, tiny_use_case

MONTHS = ["2024-01", "2024-02", "2024-03"]
LABELS = {"id": "int64", "at": "timestamp", "label": "int64"}


def simply(use_case, lake, partitions, count):
    """Read everything, join, sort, take the last rows."""
    by = use_case.train.split.by
    rows = to_pandas(lake.table("tiny", "features").read(partitions))
    labels = to_pandas(lake.table("tiny", "labels").read(partitions))
    rows = rows.merge(labels[["id", "partition", LABEL]], on=["id", "partition"])
    rows = rows.sort_values([by, "id"], kind="stable", ignore_index=True)
    return rows.tail(count)[["id", by, "x", "z", "colour", LABEL]].reset_index(drop=True)


def with_time(name):
    """Give the tiny use case, ordered by that time."""
    columns = {**TINY["ingest"]["columns"], "seen": "timestamp"}
    train = {**TINY["train"], "split": {"by": name, "folds": 2}}
    return tiny_use_case(ingest={**TINY["ingest"], "columns": columns}, train=train)


def months_with_gaps(lake, use_case, seed):
    """Publish months with few different times, a third of the rows unlabelled, in any order."""
    rng = np.random.default_rng(seed)
    for month in MONTHS:
        rows = tiny_rows(300, month, seed).sample(frac=1, random_state=seed)
        rows = rows.assign(at=rows["at"].dt.floor("7min")).reset_index(drop=True)
        days = pd.to_timedelta(rng.integers(0, 90, len(rows)), unit="D")
        rows["seen"] = pd.Series(pd.Timestamp("2024-01-01", tz="UTC") + days).dt.as_unit("us")
        rows.loc[rng.random(len(rows)) < 0.02, "seen"] = pd.NaT
        columns = dict(use_case.ingest.columns)
        publish(lake, use_case, "features", month, rows, columns)
        labelled = rows[rng.random(len(rows)) < 0.67].sample(frac=1, random_state=seed)
        labelled = labelled.assign(label=labelled["outcome"].astype("int64"))
        publish(lake, use_case, "labels", month, labelled, LABELS)


@pytest.mark.parametrize("by", ["at", "seen"])
@pytest.mark.parametrize("count", [1, 7, 100, 199, 250, 401, 10_000])
def test_the_rows_are_those_of_the_simple_way(tmp_path, by, count):
    use_case, lake = with_time(by), Lake(str(tmp_path / "lake"))
    months_with_gaps(lake, use_case, seed=count)
    found = to_pandas(LabelledRows.of(use_case, lake, {}).newest(MONTHS, count))
    expected = simply(use_case, lake, MONTHS, count)
    found = found.astype({"id": "int64", LABEL: "int64"})[list(expected.columns)]
    expected = expected.astype({"id": "int64", LABEL: "int64"})
    pd.testing.assert_frame_equal(found, expected)


def test_older_partitions_and_other_columns_are_not_read(tmp_path, monkeypatch):
    use_case = tiny_use_case()
    lake = tiny_lake(tmp_path, use_case, tuple(MONTHS))
    read = []

    def spied(table, partitions=None, columns=None, version=None, where=None, of=LakeTable.read):
        read.append((table.name, tuple(partitions), tuple(columns)))
        return of(table, partitions, columns, version, where)

    monkeypatch.setattr(LakeTable, "read", spied)
    rows = LabelledRows.of(use_case, lake, {}).newest(MONTHS, 500)
    assert rows.num_rows == 500
    assert {partition for _, partitions, _ in read for partition in partitions} == set(MONTHS[1:])
    assert {column for _, _, columns in read for column in columns} == {
        *["partition", "id", "at", "x", "z", "colour"]
    }


def test_of_a_large_partition_only_its_newest_rows_are_read(tmp_path, monkeypatch):
    use_case, lake = tiny_use_case(), Lake(str(tmp_path / "lake"))
    fill(lake, use_case, "2024-01", tiny_rows(20_000))
    sizes = []

    def spied(table, partitions=None, columns=None, version=None, where=None, of=LakeTable.read):
        rows = of(table, partitions, columns, version, where)
        sizes.append((rows.num_rows, rows.num_columns))
        return rows

    monkeypatch.setattr(LakeTable, "read", spied)
    rows = LabelledRows.of(use_case, lake, {}).newest(["2024-01"], 1_000)
    assert rows.num_rows == 1_000
    assert sizes == [(20_000, 1), (1_000, 6)]  # the times alone, then the newest rows


def test_a_label_that_stands_there_twice_is_refused(tmp_path):
    use_case = tiny_use_case()
    lake = tiny_lake(tmp_path, use_case, ("2024-01",))
    twice = tiny_rows(seed=1).assign(label=1)
    twice = pd.concat([twice, twice.head(1)], ignore_index=True)
    publish(lake, use_case, "labels", "2024-01", twice, LABELS)
    with pytest.raises(DataContractError, match=r"key \['id'\] must stand once .* of 2024-01, but"):
        LabelledRows.of(use_case, lake, {}).newest(["2024-01"])


def test_a_time_that_features_lack_is_refused(tmp_path):
    lake = tiny_lake(tmp_path, tiny_use_case(), ("2024-01",))
    with pytest.raises(
        ConfigError, match=r"train\.split\.by must be in the features table, 'seen'"
    ):
        LabelledRows.of(with_time("seen"), lake, {})
