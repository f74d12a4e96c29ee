from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from include.due.state import states
from include.due.wanted import wanted_monitoring
from include.lake.table import Lake
from include.modelling.label_coverage import LabelCoverage, label_coverage, waits_for_labels
from include.use_cases.schema import UseCase
from tests.support.lakes import fill, publish, tiny_lake
from tests.support.packages import tiny_rows, tiny_use_case

LABELS = {"id": "int64", "at": "timestamp", "label": "int64"}


@pytest.fixture
def use_case() -> UseCase:
    return tiny_use_case("classification")


@pytest.fixture
def lake(tmp_path: Path, use_case: UseCase) -> Lake:
    return tiny_lake(tmp_path, use_case)


def label(lake: Lake, use_case: UseCase, month: str, share: float) -> None:
    """Land the outcomes of the first share of a month's rows."""
    rows = tiny_rows(month=month, seed=int(month[-2:]))
    some = rows.iloc[: round(len(rows) * share)]
    publish(lake, use_case, "labels", month, some.assign(label=some["outcome"].astype(int)), LABELS)


def with_rules(use_case: UseCase, **rules: object) -> UseCase:
    assert use_case.labels is not None
    return use_case.model_copy(update={"labels": use_case.labels.model_copy(update=rules)})


def test_each_partition_has_the_coverage_of_its_labels(lake: Lake, use_case: UseCase) -> None:
    fill(lake, use_case, "2024-03", labelled=False)
    label(lake, use_case, "2024-03", 0.25)
    assert label_coverage(use_case, lake, "2024-03") == [
        LabelCoverage("2024-01", 1.0),
        LabelCoverage("2024-02", 1.0),
        LabelCoverage("2024-03", 0.25, "2024-03 has 25% of its labels, 90% needed"),
    ]
    assert waits_for_labels(use_case, lake, "2024-02") == []
    label(lake, use_case, "2024-03", 0.75)
    assert waits_for_labels(use_case, lake, "2024-03") == [
        "2024-03 has 75% of its labels, 90% needed"
    ]


@pytest.mark.parametrize(("share", "complete"), [(0.9, True), (0.895, False), (1.0, True)])
def test_exactly_the_needed_coverage_is_enough(
    lake: Lake, use_case: UseCase, share: float, complete: bool
) -> None:
    fill(lake, use_case, "2024-03", labelled=False)
    label(lake, use_case, "2024-03", share)
    assert (waits_for_labels(use_case, lake, "2024-03") == []) is complete


def test_the_needed_coverage_is_declared(lake: Lake, use_case: UseCase) -> None:
    fill(lake, use_case, "2024-03", labelled=False)
    label(lake, use_case, "2024-03", 0.25)
    generous = with_rules(use_case, min_coverage=0.25)
    assert waits_for_labels(generous, lake, "2024-03") == []


def test_more_labels_than_rows_cover_all(lake: Lake, use_case: UseCase) -> None:
    """Outcomes of rows that were quarantined land as well."""
    rows = pd.concat([tiny_rows(month="2024-02", seed=2), tiny_rows(month="2024-02", seed=9)])
    rows = rows.assign(id=range(len(rows)), label=1)
    publish(lake, use_case, "labels", "2024-02", rows, LABELS)
    assert label_coverage(use_case, lake, "2024-02")[-1] == LabelCoverage("2024-02", 1.0)


def test_labels_are_mature_once_enough_has_landed_after_them(lake: Lake, use_case: UseCase) -> None:
    """February 2024 ends 29 days after January; the clock says nothing."""
    for days, waiting in ((0, []), (29, ["2024-02"]), (30, ["2024-01", "2024-02"])):
        patient = with_rules(use_case, mature_after=timedelta(days=days))
        assert [
            one.partition for one in label_coverage(patient, lake, "2024-02") if one.waits
        ] == waiting
        assert waits_for_labels(patient, lake, "2024-02") == [
            f"{key} has labels that may change for {days} days after its end" for key in waiting
        ]
    fill(lake, use_case, "2024-03", labelled=False)  # its rows alone make the others older
    assert waits_for_labels(patient, lake, "2024-02") == []


def test_without_labels_every_partition_with_features_is_learned_from(tmp_path: Path) -> None:
    clustering = tiny_use_case("clustering")
    lake = tiny_lake(tmp_path, clustering)
    assert [one.partition for one in label_coverage(clustering, lake, "2024-02")] == [
        "2024-01",
        "2024-02",
    ]


def test_no_row_is_read(lake: Lake, use_case: UseCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.lake.reader.rows_of", None)
    assert len(label_coverage(use_case, lake, "2024-02")) == 2


def test_corrected_labels_make_the_monitor_due(lake: Lake, use_case: UseCase) -> None:
    rows = tiny_rows(month="2024-02", seed=2)
    kept = {"id": "int64", "at": "timestamp"}
    publish(lake, use_case, "predictions", "2024-02", rows, kept)
    before = wanted_monitoring(use_case, lake)["2024-02"]
    label(lake, use_case, "2024-02", 1.0)
    assert wanted_monitoring(use_case, lake)["2024-02"] == before  # the same labels
    corrected = rows.assign(label=1 - rows["outcome"].astype(int))
    publish(lake, use_case, "labels", "2024-02", corrected, LABELS)
    after = wanted_monitoring(use_case, lake)
    assert {name for name in before if before[name] != after["2024-02"][name]} == {"tiny.labels"}
    assert states("tiny", "monitoring", after, lake)["2024-02"].due
