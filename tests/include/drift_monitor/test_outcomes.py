"""Outcomes of one day say little: earlier days that the same model scored are taken with it."""

from pathlib import Path

import numpy as np
import pandas as pd

from include.batch_predict.predict import predict_partition
from include.drift_monitor.current import read_current
from include.modelling.uncertainty import MIN_BLOCKS
from tests.support.monitored import World, make_world
from tests.support.packages import TINY, tiny_rows

DAILY = {**TINY["ingest"], "partition": {"column": "at", "grain": "day"}}


def _world(where: Path, days: int, **deploy) -> tuple[World, list[str]]:
    """Land, score and label days, by the first champion."""
    world = make_world(where, ingest=DAILY, deploy=deploy)
    world.crown()
    rows = tiny_rows(40 * 27, "2024-03")
    by_day = dict(list(rows.groupby(rows["at"].dt.strftime("%Y-%m-%d"))))
    chosen = sorted(by_day)[:days]
    for day in chosen:
        frame = by_day[day].reset_index(drop=True)
        world.land(day, frame)
        _predict(world, day)
        world.land_outcomes(day, frame)
    return world, chosen


def _predict(world: World, day: str) -> None:
    champion = world.champion
    predict_partition(world.use_case, day, champion, world.lake, world.registry, world.writer())


def test_a_day_takes_the_days_before_it_until_there_are_enough(tmp_path):
    world, days = _world(tmp_path, 12)
    found = read_current(world.use_case, days[-1], world.lake, world.registry)

    assert found.rows == 40, "drift is still that of the day"
    assert found.outcomes.partitions == days[2:]
    assert len(np.unique(found.outcomes.blocks)) == MIN_BLOCKS
    assert len(found.outcomes.y) == len(found.outcomes.score) == 400


def test_never_later_days_and_never_those_of_another_model(tmp_path):
    world, days = _world(tmp_path, 5)
    world.crown(as_of="2024-02-28", seed=7)
    for day in days[3:]:
        _predict(world, day)
    middle = read_current(world.use_case, days[1], world.lake, world.registry)
    last = read_current(world.use_case, days[-1], world.lake, world.registry)

    assert (middle.model.version, middle.outcomes.partitions) == ("1", days[:2])
    assert (last.model.version, last.outcomes.partitions) == ("2", days[3:])


def test_where_a_partition_has_units_enough_it_stands_alone(tmp_path):
    world, days = _world(tmp_path, 2, resample_by="id")
    found = read_current(world.use_case, days[-1], world.lake, world.registry)
    assert found.outcomes.partitions == days[-1:]
    assert len(np.unique(found.outcomes.blocks)) == 40


def test_each_score_stands_beside_its_own_outcome(tmp_path):
    world, days = _world(tmp_path, 2)
    found = read_current(world.use_case, days[-1], world.lake, world.registry).outcomes
    tables = [world.lake.table("tiny", name) for name in ("predictions", "labels")]
    rows = [table.read(days).to_pandas() for table in tables]
    both = rows[0].merge(rows[1], on=["partition", "id"])
    pd.testing.assert_frame_equal(
        pd.DataFrame({"y": found.y, "score": found.score}).sort_values("score", ignore_index=True),
        pd.DataFrame({"y": both["label"].astype(float), "score": both["score"]}).sort_values(
            "score", ignore_index=True
        ),
    )
