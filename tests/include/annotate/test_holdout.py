"""Rows that a policy chose for people: learned from, and never judged on."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.annotate.choosing import choose_round
from include.annotate.publish import publish_people
from include.drift_monitor.outcomes import (
    MODEL_VERSION,
    fair_labels,
    labels_schema,
    predicted_schema,
)
from include.drift_monitor.outcomes import _of as outcomes_of_partition
from include.errors import DataContractError
from include.labelling.contract import claims_schema
from include.labelling.history import LabelHistory
from include.labelling.publishing import publish_labels
from include.lake.frames import arrow_schema
from include.lake.schemas import CHOSEN, FILE
from include.lake.table import Lake
from include.modelling.known_rows import load_known_rows
from include.modelling.labelled_rows import LabelledRows, fairly_drawn
from include.modelling.training_set import (
    holdout_rows,
    load_as_then,
    load_training_set,
    training_rows,
)
from include.replay.known import History
from include.use_cases.schema import UseCase
from tests.include.annotate.conftest import Make
from tests.include.annotate.test_choosing import answered, guesses, record
from tests.include.conftest import writer
from tests.support.scans import DAY, land, truth

COLUMNS = {"scan": "int64", "at": "timestamp", "box": "string", "ink": "float64"}
BY = {
    "random": {"by": "random"},
    "group": {"by": "group:box"},
    "time": {"by": "at"},
}
KEYS = ["2024-05-01", "2024-05-02", "2024-05-03"]
LABELLED_BY = st.sampled_from([None, "random", "uncertain", "disagreement"])


def several_days(make: Make, split: dict[str, Any]) -> UseCase:
    ingest = {"columns": COLUMNS, "partition": {"grain": "day", "column": "at"}}
    return make(
        ingest=ingest,
        features={"inputs": ["ink", "box"], "numeric": ["ink"], "categorical": ["box"]},
        train={"split": split, "min_partitions": 2},
        deploy={"resample_by": split["by"].removeprefix("group:")}
        if "group" in split["by"]
        else {},
    )


def publish(use_case: UseCase, lake: Lake, day: int, chosen: list[str | None], **how: Any) -> None:
    """Publish features of a day, and labels with these policies."""
    count, key = len(chosen), KEYS[day]
    at = datetime.fromisoformat(key).replace(tzinfo=UTC)
    scans = [1000 * day + one for one in range(count)]
    rows = {
        "scan": scans,
        "at": [at + timedelta(minutes=one) for one in range(count)],
        "box": [f"box {one % 7}" for one in scans],
        "ink": [float(truth(one)) for one in scans],
    }
    features = pa.table(rows, schema=arrow_schema(COLUMNS))
    labels = features.select(["scan", "at"]).append_column("label", [[truth(one) for one in scans]])
    if how.get("with_chosen", True):
        labels = labels.append_column(CHOSEN, pa.array(chosen, pa.string()))
    labels = labels.append_column(FILE, pa.nulls(count, pa.string()))
    for stage, data in (("features", features), ("labels", labels)):
        lake.table(use_case.name, stage).publish(
            data, partition=key, schema=data.schema, writer=writer(how.get("token", 1))
        )


def policies(lake: Lake, rows: pa.Table) -> list[str | None]:
    """Look up the policy of rows where it was published, and not where it is judged."""
    told = lake.table("scans", "labels").read(None, ["scan", CHOSEN]).to_pylist()
    known = {row["scan"]: row[CHOSEN] for row in told}
    return [known[scan] for scan in rows["scan"].to_pylist()]


@pytest.mark.parametrize("by", BY)
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(days=st.lists(st.lists(LABELLED_BY, min_size=20, max_size=30), min_size=3, max_size=3))
def test_no_row_that_a_policy_chose_is_held_out_and_all_others_are_as_before(make, by, days):
    use_case, held_out = several_days(make, BY[by]), int(by == "time")
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for day, chosen in enumerate(days):
            publish(use_case, lake, day, chosen)
        tables = LabelledRows.of(use_case, lake, {})
        held = holdout_rows(tables, KEYS, held_out)
        train = training_rows(tables, KEYS, held_out)
        assert set(policies(lake, held)) <= {None, "random"}
        # Against the same rows without policies: nothing fair is lost, nothing chosen is learned
        # from a unit that is held out.
        bare = Lake(f"{folder}/bare")
        for day, chosen in enumerate(days):
            publish(use_case, bare, day, chosen, with_chosen=False)
        plain = LabelledRows.of(use_case, bare, {})
        before = holdout_rows(plain, KEYS, held_out)
        fair = [one in (None, "random") for one in policies(lake, before)]
        assert held["scan"].to_pylist() == before.filter(pa.array(fair))["scan"].to_pylist()
        learned = training_rows(plain, KEYS, held_out)
        assert train["scan"].to_pylist() == learned["scan"].to_pylist()


def test_a_holdout_of_chosen_rows_alone_is_refused_with_what_to_do(make, lake):
    use_case = several_days(make, BY["time"])
    for day in range(3):
        publish(use_case, lake, day, ["uncertain"] * 20)
    with pytest.raises(DataContractError, match="raise the share of 'random'"):
        load_training_set(use_case, lake, KEYS[-1], held_out=1)


def test_what_a_training_has_read_is_read_again_whatever_people_say_later(make, lake):
    use_case = several_days(make, BY["random"])
    chosen = ["random", "uncertain"] * 15
    for day in range(3):
        publish(use_case, lake, day, chosen)
    first = load_training_set(use_case, lake, KEYS[-1])
    facts = {
        "as_of": KEYS[-1],
        "inputs": [vars(one) for one in first.inputs],
        "partitions": first.partitions,
        "holdout_partitions": first.holdout_partitions,
    }
    publish(use_case, lake, 2, ["uncertain"] * 30, token=2)
    later = load_training_set(use_case, lake, KEYS[-1])
    again = load_as_then(use_case, lake, facts)
    assert len(later.holdout_X) < len(first.holdout_X)
    pd.testing.assert_frame_equal(again.holdout_X, first.holdout_X)
    pd.testing.assert_frame_equal(again.train_X, first.train_X)


def test_a_use_case_that_asks_nobody_any_more_still_knows_which_rows_were_chosen(make, lake):
    """Labels that are published without the column leave it in the partitions before."""
    use_case = several_days(make, BY["time"])
    publish(use_case, lake, 0, ["uncertain"] * 10 + [None] * 10)
    publish(use_case, lake, 1, [None] * 10, with_chosen=False)
    assert CHOSEN not in lake.table("scans", "labels").schema().names
    tables = LabelledRows.of(use_case, lake, {})
    assert fairly_drawn(tables.newest(KEYS[:1])).to_pylist().count(False) == 10


def test_a_refit_learns_all_rows_and_is_compared_on_fair_ones(make, lake):
    use_case = several_days(make, BY["random"])
    publish(use_case, lake, 0, ["random"] * 20)
    publish(use_case, lake, 1, ["uncertain"] * 15 + ["random"] * 5)
    known = load_known_rows(use_case, lake, {}, KEYS[:2])
    assert len(known.X) == 40
    assert len(known.to_judge(KEYS[1:2]).X) == 5
    publish(use_case, lake, 1, ["uncertain"] * 20, token=2)
    known = load_known_rows(use_case, lake, {}, KEYS[:2])
    assert len(known.to_judge(KEYS[1:2]).X) == 20  # of all partitions


def test_performance_is_measured_on_fair_rows_alone(make, lake):
    use_case = several_days(make, BY["time"])
    publish(use_case, lake, 0, ["uncertain"] * 12 + ["random"] * 5 + [None] * 3)
    names = predicted_schema(use_case)
    count = 20
    made = {name: [0.5] * count for name in names.names}
    made |= {"scan": list(range(count)), MODEL_VERSION: ["1"] * count}
    made["predicted_class"] = ["letter"] * count
    rows = pa.table({name: made[name] for name in names.names}, schema=names)
    lake.table("scans", "predictions").publish(
        rows, partition=KEYS[0], schema=names, writer=writer(1), within={MODEL_VERSION: "1"}
    )
    found = outcomes_of_partition(use_case, KEYS[0], "1", lake)
    assert sorted(found["scan"]) == list(range(12, 20))


def test_rounds_of_the_real_choice_fill_the_training_and_keep_the_holdout_fair(make, lake):
    scans = make({"items": 50, "rounds": 20})
    land(scans, lake, count=400)
    chances = guesses(400, set(range(400)))
    for token in range(1, 7):
        made = choose_round(scans, DAY, lake, writer(10 * token), chances if token > 1 else None)
        record(scans, lake, made, [answered(one) for one in made.items])
        publish_people(scans, DAY, lake, writer(10 * token + 1))
        tables = LabelledRows.of(scans, lake, {})
        assert set(policies(lake, holdout_rows(tables, [DAY], 0))) == {"random"}
    training = load_training_set(scans, lake, DAY)
    told = lake.table("scans", "labels").read([DAY]).to_pylist()
    active = [row for row in told if row[CHOSEN] == "uncertain"]
    assert len(told) == 300
    assert len(active) == 5 * 40
    # Every row that a policy chose is learned from: it chooses none that is held out.
    assert len(training.train_X) + len(training.holdout_X) == len(told)


@pytest.mark.parametrize("people_last", [False, True])
def test_hard_rows_that_people_labelled_are_judged_on_once_an_outcome_labels_them_too(
    make, lake, people_last
):
    """Without them the rest would be the easy rows."""
    count, hard = 400, set(range(0, 400, 4))
    ingest = {
        "columns": {"scan": "int64", "at": "timestamp", "ink": "float64", "folds": "float64"},
        "partition": {"grain": "day", "column": "at"},
    }
    outcomes = {
        "strategy": "outcome",
        "landing": "outcomes/{partition}/*.csv",
        "from": "kind",
        "columns": {"scan": "int64", "kind": "int64"},
    }
    scans = make(
        {"items": 50, "choose": {"uncertain": 1.0}},
        labels=outcomes,
        ingest=ingest,
        train={"split": {"by": "at"}, "min_partitions": 2},
    )
    at = [datetime(2024, 5, 1, tzinfo=UTC) + timedelta(minutes=one) for one in range(count)]
    rows = {"scan": list(range(count)), "at": at, "ink": [0.5] * count, "folds": [0.5] * count}
    table = pa.table(rows, schema=arrow_schema(scans.ingest.columns))
    for stage in ("clean", "features"):
        lake.table("scans", stage).publish(
            table, partition=DAY, schema=table.schema, writer=writer(1)
        )
    made = choose_round(scans, DAY, lake, writer(2), guesses(count, hard))
    chosen = {one.key["scan"] for one in made.items if one.policy == "uncertain"}
    record(scans, lake, made, [answered(one) for one in made.items])
    publish_people(scans, DAY, lake, writer(3))

    def held() -> set[int]:
        labels = lake.table("scans", "labels").read([DAY])
        tables = LabelledRows.of(scans, lake, {})
        found = set(holdout_rows(tables, [DAY], 1)["scan"].to_pylist())
        assert set(fair_labels(scans, labels)["scan"]) == found
        return found

    assert chosen < hard
    assert not held() & chosen
    # The outcomes of all rows but five land.
    late = sorted(chosen)[:5]
    scanned = [scan for scan in range(count) if scan not in late]
    claims = pa.Table.from_pylist(
        [{"scan": scan, "label": 0, "_source": "a", "_confidence": 1.0} for scan in scanned],
        schema=claims_schema(scans, scans.labels),
    )
    landed = SimpleNamespace(strategy="outcome", labels=lambda: claims)
    publish_labels(landed, LabelHistory(scans, lake), DAY, writer(4))
    if people_last:
        publish_people(scans, DAY, lake, writer(5))
    assert held() == set(scanned)
    labels = lake.table("scans", "labels")
    told = {row["scan"]: row["label"] for row in labels.read([DAY]).to_pylist()}
    assert {scan: told[scan] for scan in chosen} == {scan: truth(scan) for scan in chosen}
    assert labels.facts(DAY)["facts"]["labelled_by"] == f"{len(made.items)} by ann"


def test_a_replay_judges_by_fair_rows_and_learns_from_all(make, lake):
    use_case = several_days(make, BY["time"])
    for day in range(2):
        publish(use_case, lake, day, ["uncertain"] * 12 + ["random"] * 5 + [None] * 3)
    history = History(use_case, lake, label_delay=0)
    seen = history.outcomes(KEYS[1])
    assert len(seen.rows.X) == len(seen.units) == 8
    assert len(history.at(KEYS[1]).known_rows().X) == 40


def test_a_partition_of_chosen_rows_alone_has_no_performance(make, lake):
    use_case = several_days(make, BY["time"])
    publish(use_case, lake, 0, ["uncertain"] * 20)
    landed = lake.table("scans", "labels").read(None, labels_schema(use_case))
    assert landed.num_rows == 20
    assert fair_labels(use_case, landed).empty
