"""What the overview says, against what really happened in a lake with a registry."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from include.batch_predict.predict import predict_partition
from include.drift_monitor.monitor import monitor_partition
from include.errors import DataContractError
from include.lake.frames import arrow_schema, to_arrow
from include.overview.card import card_of
from include.overview.cards import cards_of
from include.overview.partitions import partitions_of
from include.overview.words import line, lines
from include.retrain_trigger.facts import Decision
from include.retrain_trigger.records import record
from tests.support.monitored import World, make_world

MARCH, APRIL = "2024-03", "2024-04"


def _land(world: World, month: str, quarantined: int = 0, **made: object) -> None:
    rows = world.land(month, **made)
    columns = dict(world.use_case.ingest.columns)
    world.publish("raw", month, rows, columns)
    if quarantined:
        refused = to_arrow(rows.head(quarantined)[list(columns)], arrow_schema(columns))
        quarantine = world.lake.table("tiny", "quarantine")
        quarantine.publish(refused, partition=month, schema=refused.schema, writer=world.writer())
    world.land_outcomes(month, rows)


def _monitor(world: World, month: str) -> None:
    predict_partition(
        world.use_case, month, world.champion, world.lake, world.registry, world.writer()
    )
    monitor_partition(
        world.use_case, month, world.lake, world.registry, world.writer(), world.where / "reports"
    )


def _decide(world: World, month: str, run: str, *, ask: bool, why: str) -> None:
    decision = Decision(ask, month, [why], {"training_set": run}, world.champion)
    record(world.use_case, decision, world.lake, world.writer(run))


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    _land(made, MARCH, quarantined=3, rows=300, seed=1)
    return made


def test_before_anything_ran_a_use_case_has_an_empty_card(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    card = card_of(world.use_case, world.lake, world.registry.verify_key)
    assert (card.champion, card.promotions, card.partitions) == (None, [], [])
    assert (card.landed_at, card.labels_at) == (None, None)
    assert line(card) == "no rows landed yet"


def test_a_partition_that_no_phase_has_reached_says_so(world: World) -> None:
    (seen,) = partitions_of(world.use_case, world.lake)
    assert (seen.partition, seen.landed, seen.quarantined, seen.labelled) == (MARCH, 300, 3, 300)
    assert (seen.predicted, seen.verdict, seen.performance, seen.decision) == (0, None, None, None)
    assert seen.quarantined_share == pytest.approx(0.01)
    card = card_of(world.use_case, world.lake, world.registry.verify_key)
    assert line(card) == "no model serves yet; newest rows 2024-03; 3 of them quarantined"


def test_a_card_says_what_the_monitor_and_the_decision_said(world: World) -> None:
    world.crown()
    _monitor(world, MARCH)
    _decide(world, MARCH, "first", ask=True, why="drift in 1 of 1")
    _decide(world, MARCH, "second", ask=False, why="cooldown")
    _land(world, APRIL, rows=200, seed=2)

    card = card_of(world.use_case, world.lake, world.registry.verify_key)

    stored = world.lake.table("tiny", "monitoring").read([MARCH]).to_pylist()
    performance = next(row for row in stored if row["kind"] == "performance")
    march, april = card.partitions
    assert (march.predicted, march.verdict) == (300, performance["verdict"])
    assert (march.performance, march.worst_allowed, march.outcomes) == (
        performance["value"], performance["threshold"], performance["rows_current"],
    )  # fmt: skip
    assert march.model_version == world.champion
    assert march.drifted == sorted(
        row["name"] for row in stored if row["kind"] == "feature_drift" and row["flagged"]
    )
    assert (march.decision, march.reasons) == ("retrain", "drift in 1 of 1"), "not the later wait"
    assert card.newest == april
    assert (card.monitored, card.measured, card.decided) == (march, march, march)
    assert card.champion == world.ledger.current()
    assert line(card) == (
        f"version 1 serves since {card.champion.promoted_at[:16]}Z; newest rows 2024-04; "
        f"roc_auc {march.performance:.4g} in 2024-03; {march.verdict} in 2024-03; "
        "retrain after 2024-03"
    )


def test_pages_show_the_newest_first_and_then_those_before(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    months = [f"2024-{number:02}" for number in range(1, 6)]
    for month in months:
        world.publish("raw", month, world.land(month, rows=50), world.use_case.ingest.columns)

    newest = partitions_of(world.use_case, world.lake, last=2)
    before = partitions_of(world.use_case, world.lake, last=2, until=newest[0].partition)
    rest = partitions_of(world.use_case, world.lake, last=2, until=before[0].partition)

    shown = [one.partition for one in [*rest, *before, *newest]]
    assert shown == months
    assert partitions_of(world.use_case, world.lake, last=0) == []


def test_one_that_cannot_be_read_hides_no_other(world: World) -> None:
    forged = world.use_case.model_copy(update={"name": "forged"})
    world.crown()
    rows = world.lake.table("tiny", "promotions").read().drop_columns(["partition"])
    moved = rows.set_column(
        rows.column_names.index("signature"), "signature", pa.array(["00"] * rows.num_rows)
    )
    world.lake.table("forged", "promotions").append(
        moved, partition="ledger", schema=moved.schema, app_id="ledger", sequence=1, run_id="x"
    )

    cards = cards_of([forged, world.use_case], world.lake, world.registry.verify_key)

    assert list(cards) == ["forged", "tiny"]
    assert isinstance(cards["forged"], DataContractError)
    first, second = lines(cards)
    assert first.startswith("forged cannot be read: forged.promotions: entry 1 must be signed")
    assert second.startswith("tiny   version 1 serves since ")
