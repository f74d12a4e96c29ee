"""A training set that was kept on disk is the one that the lake gives."""

from __future__ import annotations

import os
import time

import numpy as np
import pandas as pd
import pytest

from include.modelling.kept_training_set import KEPT_S, forget, keep, load_kept
from include.modelling.training_set import load_training_set
from tests.support.lakes import tiny_lake
from tests.support.packages import tiny_use_case


def never():
    raise AssertionError("the lake was read")


@pytest.mark.parametrize("task", ["classification", "regression", "clustering"])
def test_what_is_kept_is_what_was_loaded(tmp_path, task):
    use_case = tiny_use_case(task)
    loaded = load_training_set(use_case, tiny_lake(tmp_path, use_case), "2024-02")
    keep(loaded, tmp_path / "trainings" / "run")
    found = load_kept(tmp_path / "trainings" / "run", never)
    for name in ("train_X", "holdout_X"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(loaded, name))
    for name in ("train_y", "holdout_y", "train_times", "holdout_times"):
        if (expected := getattr(loaded, name)) is None:
            assert getattr(found, name) is None
        else:
            pd.testing.assert_series_equal(getattr(found, name), expected, check_names=False)
    for name in ("train_blocks", "holdout_blocks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(loaded, name))
    for name in ("partitions", "learned_from", "holdout_partitions", "inputs"):
        assert getattr(found, name) == getattr(loaded, name)


@pytest.mark.parametrize("damage", ["absent", "truncated", "not JSON"])
def test_where_it_cannot_be_read_the_lake_is(tmp_path, damage):
    use_case = tiny_use_case()
    loaded = load_training_set(use_case, tiny_lake(tmp_path, use_case), "2024-02")
    folder = tmp_path / "trainings" / "run"
    if damage != "absent":
        keep(loaded, folder)
    if damage == "truncated":
        (folder / "train.arrow").write_bytes((folder / "train.arrow").read_bytes()[:1000])
    if damage == "not JSON":
        (folder / "facts.json").write_text("{")
    assert load_kept(folder, lambda: loaded) is loaded


def test_what_another_training_removes_meanwhile_does_not_matter(tmp_path):
    """A link to nothing stands for a folder that is listed, and gone when it is looked at."""
    use_case = tiny_use_case()
    folder = tmp_path / "trainings" / "run"
    folder.parent.mkdir()
    (folder.parent / "draft-of-another").symlink_to(tmp_path / "gone")
    loaded = load_training_set(use_case, tiny_lake(tmp_path, use_case), "2024-02")
    keep(loaded, folder)
    assert len(load_kept(folder, never).train_X) == len(loaded.train_X)


def test_it_is_replaced_removed_and_swept_when_its_training_is_long_over(tmp_path):
    use_case = tiny_use_case()
    lake = tiny_lake(tmp_path, use_case, ("2024-01", "2024-02", "2024-03"))
    folder, old = tmp_path / "trainings" / "run", tmp_path / "trainings" / "old"
    keep(load_training_set(use_case, lake, "2024-02"), old)
    keep(load_training_set(use_case, lake, "2024-02"), folder)
    long_ago = time.time() - KEPT_S - 60
    os.utime(old, (long_ago, long_ago))
    keep(load_training_set(use_case, lake, "2024-03"), folder)
    assert [each.name for each in folder.parent.iterdir()] == ["run"]
    assert load_kept(folder, never).holdout_partition == "2024-03"
    forget(folder)
    assert list(folder.parent.iterdir()) == []
