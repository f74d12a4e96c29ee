"""What each partition would be made from now."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from include.due.definitions import DEFINITION, definition_of
from include.due.wanted import (
    ABSENT,
    Wanted,
    wanted_clean,
    wanted_decisions,
    wanted_features,
    wanted_monitoring,
    wanted_predictions,
)
from include.lake.content import content_version
from include.lake.table import Lake, Writer
from include.use_cases.loader import load
from include.use_cases.schema import UseCase

SCHEMA = pa.schema([("a", pa.int64())])
ONE, TWO, THREE = "2024-05-01", "2024-05-02", "2024-05-03"
Put = Callable[..., int]


@pytest.fixture
def put(churn_lake: Lake) -> Put:
    """Publish a number as a partition of a stage, and return the version that it must have.

    Here the tables' columns do not matter, only which partitions there are, with which content.
    """
    tokens = count(1)

    def put(stage: str, key: str, value: int = 0) -> int:
        data = pa.table([[value]], schema=SCHEMA)
        writer = Writer("test", 1, next(tokens), "test")
        table = churn_lake.table("churn", stage)
        table.publish(data, partition=key, schema=SCHEMA, writer=writer)
        return content_version(data)

    return put


def clear(lake: Lake, stage: str, key: str) -> None:
    lake.table("churn", stage).clear(key, Writer("test", 1, 99, "test"))


@pytest.mark.parametrize(
    ("stage", "source", "wanted"),
    [
        ("clean", "raw", wanted_clean),
        ("decisions", "monitoring", wanted_decisions),
        ("predictions", "features", lambda *given: wanted_predictions(*given, "2024-04-30")),
    ],
)
def test_a_stage_wants_each_partition_of_its_source(
    churn: UseCase,
    churn_lake: Lake,
    put: Put,
    stage: str,
    source: str,
    wanted: Callable[[UseCase, Lake], Wanted],
) -> None:
    assert wanted(churn, churn_lake) == {}
    versions = {key: put(source, key, value) for value, key in enumerate([TWO, ONE])}
    definition = definition_of(churn, stage)
    assert wanted(churn, churn_lake) == {
        key: {f"churn.{source}": version, DEFINITION: definition}
        for key, version in versions.items()
    }
    again = put(source, ONE, 7)
    assert wanted(churn, churn_lake)[ONE][f"churn.{source}"] == again != versions[ONE]
    clear(churn_lake, source, ONE)
    assert list(wanted(churn, churn_lake)) == [TWO]


def test_equal_content_is_wanted_by_the_same_version(
    churn: UseCase, churn_lake: Lake, put: Put
) -> None:
    put("raw", ONE, 3)
    before = wanted_clean(churn, churn_lake)
    put("raw", ONE, 4)
    put("raw", ONE, 3)
    assert wanted_clean(churn, churn_lake) == before


def test_predictions_are_wanted_of_what_the_champion_has_not_learned_from(
    churn: UseCase, churn_lake: Lake, put: Put
) -> None:
    for key in (ONE, TWO, THREE):
        put("features", key)
    for known_up_to, expected in (
        (None, []),
        ("2024-04-30", [ONE, TWO, THREE]),
        (ONE, [TWO, THREE]),
        (THREE, []),
    ):
        assert list(wanted_predictions(churn, churn_lake, known_up_to)) == expected


def test_features_count_a_reference_that_lands_whole_only_while_it_is_missing(
    churn: UseCase, churn_lake: Lake, put: Put
) -> None:
    clean = put("clean", ONE)
    plain = {"churn.clean": clean, DEFINITION: definition_of(churn, "features")}
    assert wanted_features(churn, churn_lake) == {ONE: {**plain, "churn.reference_plans": ABSENT}}
    put("reference_plans", "all", 1)
    assert wanted_features(churn, churn_lake) == {ONE: plain}
    put("reference_plans", "all", 2)
    assert wanted_features(churn, churn_lake) == {ONE: plain}


def test_features_want_the_same_partition_of_a_reference_that_lands_by_partition(
    churn: UseCase, churn_root: Path, churn_lake: Lake, put: Put
) -> None:
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace("plans/*.csv", "'plans/{partition}/*.csv'"))
    use_case = load(churn_root / "churn")
    clean = {key: put("clean", key) for key in (ONE, TWO)}
    plans = {key: put("reference_plans", key, 5) for key in (TWO, THREE)}
    definition = definition_of(use_case, "features")
    assert wanted_features(use_case, churn_lake) == {
        ONE: {"churn.clean": clean[ONE], "churn.reference_plans": ABSENT, DEFINITION: definition},
        TWO: {
            "churn.clean": clean[TWO],
            "churn.reference_plans": plans[TWO],
            DEFINITION: definition,
        },
    }


def test_monitoring_wants_features_and_predictions_and_labels_as_far_as_they_have_come(
    churn: UseCase, churn_lake: Lake, put: Put
) -> None:
    features = {key: put("features", key, 1) for key in (ONE, TWO)}
    predictions = {key: put("predictions", key, 2) for key in (TWO, THREE)}
    labels = {key: put("labels", key, 3) for key in (ONE, THREE)}
    definition = definition_of(churn, "monitoring")
    expected = {
        "churn.features": features[TWO],
        "churn.predictions": predictions[TWO],
        "churn.labels": ABSENT,
        DEFINITION: definition,
    }
    assert wanted_monitoring(churn, churn_lake) == {TWO: expected}
    labels[TWO] = put("labels", TWO, 4)
    assert wanted_monitoring(churn, churn_lake) == {TWO: {**expected, "churn.labels": labels[TWO]}}
    clear(churn_lake, "labels", TWO)
    assert wanted_monitoring(churn, churn_lake) == {TWO: expected}


def test_without_labels_monitoring_wants_none(churn: UseCase, churn_lake: Lake, put: Put) -> None:
    put("features", ONE)
    put("predictions", ONE)
    without = churn.model_copy(update={"labels": None})
    assert set(wanted_monitoring(without, churn_lake)[ONE]) == {
        "churn.features",
        "churn.predictions",
        DEFINITION,
    }
