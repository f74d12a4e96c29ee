"""Nothing that comes later is known, however it is asked for."""

from __future__ import annotations

import re

import pytest

from include.errors import ConfigError, DataContractError
from include.replay.known import History, LookAheadError
from tests.include.replay.conftest import MONTHS, history_of, use_case_of


def test_rows_come_with_their_partition_and_labels_later(history):
    known = history.at("2024-03")
    assert known.partitions == ["2024-01", "2024-02", "2024-03"]
    assert known.labelled == ["2024-01", "2024-02"]
    assert known.rows() == {"2024-01": 600, "2024-02": 600}
    assert len(known.features("2024-03")) == 600
    assert len(known.outcomes("2024-02").rows.truth) == 600


def test_a_row_that_has_not_come_is_an_error(history):
    with pytest.raises(
        LookAheadError,
        match=re.escape("at 2024-03 the rows of 2024-03 were the newest, got a request"),
    ):
        history.at("2024-03").features("2024-04")


def test_a_label_that_has_not_come_is_an_error(history):
    with pytest.raises(LookAheadError, match=r"at 2024-03 the labels of 2024-02 were the newest"):
        history.at("2024-03").outcomes("2024-03")


@pytest.mark.parametrize(("delay", "newest"), [(0, "2024-04"), (1, "2024-03"), (2, "2024-02")])
def test_a_training_set_ends_with_the_labels_that_had_come(tmp_path, delay, newest):
    training = history_of(tmp_path, use_case_of(), delay).at("2024-04").training_set()
    assert training.partitions == [month for month in MONTHS if month <= newest]
    assert training.holdout_partitions == [newest]


def test_too_few_labels_are_refused_as_in_a_training(history):
    with pytest.raises(DataContractError, match="training needs at least 2 labelled partitions"):
        history.at("2024-02").training_set()


def test_a_moment_is_a_partition(history):
    with pytest.raises(ConfigError, match="a moment must be one of the partitions"):
        history.at("2023-12")


def test_labels_cannot_come_before_their_rows(history):
    with pytest.raises(ConfigError, match="must be at least 0 partitions, got -1"):
        History(history.use_case, history.lake, label_delay=-1)
