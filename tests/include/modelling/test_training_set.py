import numpy as np
import pandas as pd
import pytest

from include.errors import ConfigError, DataContractError
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Writer
from include.modelling.estimators import defaults, make
from include.modelling.scoring import score_rows
from include.modelling.training_set import (
    fingerprint,
    labelled_partitions,
    load_as_then,
    load_training_set,
    wide,
)
from include.modelling.uncertainty import MIN_BLOCKS
from tests.support.lakes import fill, publish, tiny_lake
from tests.support.packages import TINY, tiny_rows, tiny_use_case

MONTHS = ("2024-01", "2024-02", "2024-03")


@pytest.fixture
def use_case():
    return tiny_use_case()


@pytest.fixture
def lake(tmp_path, use_case):
    return tiny_lake(tmp_path, use_case, MONTHS)


def test_the_last_partition_is_held_out_and_the_rest_is_in_order_of_time(lake, use_case):
    training = load_training_set(use_case, lake, "2024-03")

    assert (training.partitions, training.holdout_partition) == (list(MONTHS), "2024-03")
    assert (len(training.train_X), len(training.holdout_X)) == (800, 400)
    assert list(training.train_X.columns) == ["x", "z", "colour"]
    assert training.train_times.is_monotonic_increasing
    assert training.train_times.max() < pd.Timestamp("2024-03-01", tz="UTC")


def test_each_row_has_its_own_label(lake, use_case):
    training = load_training_set(use_case, lake, "2024-02")

    january, february = (
        tiny_rows(month=month, seed=seed) for month, seed in [("2024-01", 1), ("2024-02", 2)]
    )
    np.testing.assert_array_equal(training.train_X["x"], january["x"].astype("float32"))
    np.testing.assert_array_equal(training.train_y, january["outcome"])
    np.testing.assert_array_equal(training.holdout_y, february["outcome"])
    assert training.train_y.dtype == np.int64


def test_keys_that_come_again_each_month_do_not_mix(lake, use_case):
    """Ids 0 to 399 are in every month: a join on the key alone would make nine rows of three."""
    assert len(load_training_set(use_case, lake, "2024-03").train_X) == 2 * 400


def test_nothing_later_than_as_of_is_used(lake, use_case):
    assert load_training_set(use_case, lake, "2024-02").partitions == ["2024-01", "2024-02"]


def test_partitions_without_labels_wait(lake, use_case):
    fill(lake, use_case, "2024-04", labelled=False)
    assert labelled_partitions(use_case, lake, "2024-04") == list(MONTHS)


def test_rows_without_an_outcome_are_left_out(lake, use_case):
    rows = tiny_rows(month="2024-03", seed=3)
    known = np.arange(len(rows)) % 10 != 0  # nine of ten
    some = rows[known].assign(label=rows["outcome"].astype("int64"))
    columns = {"id": "int64", "at": "timestamp", "label": "int64"}
    publish(lake, use_case, "labels", "2024-03", some, columns)

    training = load_training_set(use_case, lake, "2024-03")

    np.testing.assert_array_equal(training.holdout_X["x"], rows["x"][known])


def test_a_partition_with_few_of_its_labels_is_not_learned_from(lake, use_case):
    rows = tiny_rows(month="2024-03", seed=3)
    some = rows.iloc[::4].assign(label=rows["outcome"].astype("int64"))
    columns = {"id": "int64", "at": "timestamp", "label": "int64"}
    publish(lake, use_case, "labels", "2024-03", some, columns)
    assert labelled_partitions(use_case, lake, "2024-03") == ["2024-01", "2024-02"]
    assert load_training_set(use_case, lake, "2024-03").holdout_partition == "2024-02"


def test_corrected_labels_change_the_fingerprint_of_a_training(lake, use_case):
    before = fingerprint(use_case, lake, MONTHS)
    rows = tiny_rows(month="2024-02", seed=2)
    rows["outcome"] = rows["outcome"].to_numpy().copy()
    rows.loc[rows.index[0], "outcome"] = 1 - rows["outcome"].iloc[0]
    fill(lake, use_case, "2024-02", rows)
    assert fingerprint(use_case, lake, MONTHS) != before


def test_clustering_needs_no_labels(tmp_path):
    use_case = tiny_use_case("clustering")
    training = load_training_set(use_case, tiny_lake(tmp_path, use_case), "2024-02")

    assert (training.train_y, training.holdout_y) == (None, None)
    assert [read.table for read in training.inputs] == ["tiny.features"]


def test_pinned_versions_read_what_was_read_then(lake, use_case):
    before = load_training_set(use_case, lake, "2024-03")
    versions = {read.table: read.version for read in before.inputs}
    fill(lake, use_case, "2024-02", tiny_rows(month="2024-02", seed=99))
    fill(lake, use_case, "2023-12")

    again = load_training_set(use_case, lake, "2024-03", versions, before.partitions)
    pd.testing.assert_frame_equal(again.train_X, before.train_X)
    pd.testing.assert_series_equal(again.train_y, before.train_y)

    now = load_training_set(use_case, lake, "2024-03")
    assert now.partitions == ["2023-12", *MONTHS]
    assert not now.train_X["x"].isin(before.train_X["x"]).all()


def test_a_time_that_the_features_have_no_more_orders_a_training_that_had_it(lake, use_case):
    before = load_training_set(use_case, lake, "2024-02")
    pins = {pin.table: pin.version for pin in before.inputs}
    columns = {name: kind for name, kind in use_case.ingest.columns.items() if name != "at"}
    publish(lake, use_case, "features", "2024-04", tiny_rows(month="2024-04"), columns)
    again = load_training_set(use_case, lake, "2024-02", pins, before.partitions)
    pd.testing.assert_frame_equal(again.train_X, before.train_X)
    with pytest.raises(ConfigError, match=r"train\.split\.by must be in the features table"):
        load_training_set(use_case, lake, "2024-02")


def test_at_most_max_rows_the_newest(tmp_path):
    use_case = tiny_use_case(train={**_train(), "max_rows": 1000})
    lake = tiny_lake(tmp_path, use_case, ())
    for month in MONTHS:
        fill(lake, use_case, month, tiny_rows(700, month, seed=1))

    training = load_training_set(use_case, lake, "2024-03")

    assert len(training.train_X) == 1000
    assert training.learned_from == ["2024-01", "2024-02"]
    assert (training.train_times >= pd.Timestamp("2024-02-01", tz="UTC")).sum() == 700


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("classification", "logistic_regression"),
        ("classification", "hist_gradient_boosting"),
        ("regression", "ridge"),
        ("clustering", "kmeans"),
    ],
)
@pytest.mark.parametrize("categorical", [["colour"], []])
def test_narrow_types_give_the_model_that_wide_ones_give(tmp_path, task, name, categorical):
    features = {"inputs": ["x", "z", "colour"], "numeric": ["x", "z"], "categorical": categorical}
    use_case = tiny_use_case(task, features=features)
    training = load_training_set(use_case, tiny_lake(tmp_path, use_case), "2024-02")
    exact = tiny_rows(month="2024-01", seed=1)[use_case.features.columns]
    assert [str(kind) for kind in training.train_X.dtypes] == [
        *["float32"] * 2,
        *["category"] * len(categorical),
    ]
    pd.testing.assert_frame_equal(training.holdout_X, tiny_rows(month="2024-02", seed=2)[
        use_case.features.columns
    ])  # fmt: skip

    spaces = {space.estimator: space for space in use_case.train.candidates}
    scores = [
        score_rows(
            make(use_case, name, defaults(spaces[name])).fit(X, training.train_y),
            training.holdout_X,
            use_case,
        )
        for X in (wide(training.train_X), exact)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-6, atol=1e-6)


def test_a_number_that_float32_would_blur_stays_wide(tmp_path):
    """Seconds since 1970: float32 knows them to two minutes."""
    use_case = tiny_use_case()
    rows = tiny_rows().assign(x=lambda rows: 1.7e9 + np.arange(len(rows)))
    lake = tiny_lake(tmp_path, use_case, ())
    fill(lake, use_case, "2024-01", rows)
    fill(lake, use_case, "2024-02", tiny_rows(month="2024-02"))
    train_X = load_training_set(use_case, lake, "2024-02").train_X
    assert (train_X["x"].dtype, train_X["z"].dtype) == ("float64", "float32")
    np.testing.assert_array_equal(train_X["x"], rows["x"])


def test_training_reads_no_reference(lake, use_case, monkeypatch):
    read = []
    monkeypatch.setattr(
        lake, "table", lambda name, stage, of=lake.table: read.append(stage) or of(name, stage)
    )
    load_training_set(use_case, lake, "2024-03")
    assert set(read) == {"features", "labels"}


def _train():
    return {
        "metric": "roc_auc",
        "split": {"by": "at", "folds": 2},
        "candidates": [{"estimator": "logistic_regression"}],
    }


def test_too_few_partitions_are_counted(lake, use_case):
    with pytest.raises(
        DataContractError,
        match=r"at least 2 labelled partitions up to 2024-01 .* got 1: \['2024-01'\]",
    ):
        load_training_set(use_case, lake, "2024-01")


def test_labels_of_other_keys_are_noticed(lake, use_case):
    strangers = tiny_rows(month="2024-03").assign(label=1, id=lambda rows: rows["id"] + 10_000)
    columns = {"id": "int64", "at": "timestamp", "label": "int64"}
    publish(lake, use_case, "labels", "2024-03", strangers.astype({"label": "int64"}), columns)
    with pytest.raises(
        DataContractError, match=r"the holdout partitions .* got none. Check .* same keys"
    ):
        load_training_set(use_case, lake, "2024-03")


def test_labels_are_joined_whose_key_was_not_retyped_yet(lake, use_case):
    """Each table is retyped when it is published by the definition of now."""
    before = load_training_set(use_case, lake, "2024-02")
    columns = {**TINY["ingest"]["columns"], "id": "string"}
    step = {"column": "id", "before": "int64", "after": "string"}
    landed = {**TINY["labels"]["columns"], "id": "string"}
    retyped = tiny_use_case(
        ingest={**TINY["ingest"], "columns": columns},
        labels={**TINY["labels"], "columns": landed},
        migrations=[step],
    )
    rows = tiny_rows(month="2024-04", seed=4)
    table, schema = lake.table("tiny", "features"), arrow_schema(columns)
    frame = rows.assign(id=rows["id"].astype("str"))[list(columns)]
    table.publish(
        to_arrow(frame, schema),
        partition="2024-04",
        schema=schema,
        writer=Writer("test", 1, 1, "test"),
        migrations=retyped.migrations,
    )
    after = load_training_set(use_case, lake, "2024-02")
    assert sorted(after.train_y) == sorted(before.train_y)
    assert dict(zip(after.train_X["x"], after.train_y, strict=True)) == dict(
        zip(before.train_X["x"], before.train_y, strict=True)
    )


def test_an_as_of_that_is_no_month_is_refused(lake, use_case):
    with pytest.raises(ConfigError, match="must be a month like '2013-06', got '2024-1'"):
        labelled_partitions(use_case, lake, "2024-1")


# What is independent, and how much is held out


def _daily(**deploy):
    ingest = {**TINY["ingest"], "partition": {"column": "at", "grain": "day"}}
    return tiny_use_case(ingest=ingest, deploy=deploy)


def _days(lake, use_case, count: int) -> list[str]:
    rows = tiny_rows(rows=40 * 27)
    by_day = dict(list(rows.groupby(rows["at"].dt.strftime("%Y-%m-%d"))))
    for day in sorted(by_day)[:count]:
        fill(lake, use_case, day, by_day[day])
    return sorted(by_day)[:count]


def test_of_daily_partitions_ten_independent_days_are_held_out(tmp_path):
    use_case = _daily()
    lake = tiny_lake(tmp_path, use_case, ())
    days = _days(lake, use_case, 12)

    training = load_training_set(use_case, lake, days[-1])

    assert training.holdout_partitions == days[2:]
    assert training.learned_from == days[:2]
    assert training.holdout_partition == days[-1]
    assert len(np.unique(training.holdout_blocks)) == MIN_BLOCKS == use_case.held_out
    assert training.train_times.max() < training.holdout_times.min()
    with pytest.raises(DataContractError, match=r"at least 11 .* one more than the 10 held out"):
        load_training_set(use_case, lake, days[9])


def test_where_days_are_not_the_unit_the_last_partition_is_enough(tmp_path):
    use_case = _daily(resample_by="id")
    lake = tiny_lake(tmp_path, use_case, ())
    days = _days(lake, use_case, 2)

    training = load_training_set(use_case, lake, days[-1])

    assert training.holdout_partitions == days[1:]
    assert len(np.unique(training.holdout_blocks)) == len(training.holdout_X) == 40


def test_blocks_are_days_of_the_column_that_orders_rows(lake, use_case):
    training = load_training_set(use_case, lake, "2024-02")
    day = training.holdout_times.dt.day
    np.testing.assert_array_equal(training.holdout_blocks, day - 1)
    assert len(np.unique(training.train_blocks)) == 27


def test_a_model_of_before_is_loaded_with_the_one_partition_that_was_held_out(tmp_path):
    use_case = _daily()
    lake = tiny_lake(tmp_path, use_case, ())
    days = _days(lake, use_case, 12)
    training = load_training_set(use_case, lake, days[-1])
    facts = {
        "as_of": days[-1],
        "partitions": days,
        "inputs": [{"table": pin.table, "version": pin.version} for pin in training.inputs],
    }
    then = load_as_then(use_case, lake, facts)
    now = load_as_then(use_case, lake, {**facts, "holdout_partitions": days[2:]})

    assert then.holdout_partitions == days[-1:]
    assert now.holdout_partitions == days[2:]
