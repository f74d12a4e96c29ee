"""From lake and registry to a decision, and the memory of what was asked."""

import json
from pathlib import Path

import pytest

from include.batch_predict.predict import predict_partition
from include.drift_monitor.monitor import monitor_partition
from include.retrain_trigger.decide import Champion, Decision, Window
from include.retrain_trigger.gather import decide, record, windows_of
from tests.support.monitored import World, make_world


def ask(world: World, run_id: str | None = None) -> Decision:
    return decide(world.use_case, world.lake, world.registry, run_id)


def write(world: World, decision: Decision, run_id: str = "run"):
    return record(world.use_case, decision, world.lake, world.writer(run_id))


def decisions(world: World) -> list[dict]:
    rows = world.lake.table("tiny", "decisions").read().to_pylist()
    return sorted(rows, key=lambda row: row["decided_at"])


def month(world: World, key: str, shift: float = 0.0, labelled: bool = True) -> None:
    """Let a month land, be scored if there is a champion, be labelled, and be monitored."""
    rows = world.land(key, rows=300, seed=int(key[-2:]), shift=shift)
    predict_partition(world.use_case, key, world.lake, world.registry, world.writer())
    if labelled:
        world.land_outcomes(key, rows)
    monitor_partition(
        world.use_case, key, world.lake, world.registry, world.writer(), world.where / "reports"
    )


def test_nothing_landed_is_no_decision_to_file(tmp_path: Path):
    world = make_world(tmp_path)
    decision = ask(world)
    assert decision == Decision(False, "", ["tiny has no features yet: nothing to learn from"])
    assert write(world, decision) is None
    assert not world.lake.table("tiny", "decisions").exists()


def test_the_first_training_is_asked_for_once(tmp_path: Path):
    world = make_world(tmp_path)
    month(world, "2024-01")
    assert ask(world).reasons == ["no champion yet; 1 labelled partitions up to 2024-01, 2 needed"]
    month(world, "2024-02")
    month(world, "2024-03", labelled=False)
    first = ask(world)
    assert (first.ask, first.as_of) == (True, "2024-03")
    assert first.signals["newest_labelled"] == "2024-02"
    assert ask(world) == first  # deciding changes nothing; recording does
    write(world, first)
    assert ask(world).reasons[0] == "already asked for as of 2024-03"

    month(world, "2024-04", labelled=False)
    assert ask(world).reasons[0] == "the same training set was already asked for as of 2024-03"
    rows = world.land("2024-04", rows=300)
    world.land_outcomes("2024-04", rows)
    assert ask(world).ask


def test_corrected_labels_are_another_training_set(tmp_path: Path):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    write(world, ask(world))
    world.land("2024-03", rows=300)
    assert not ask(world).ask
    world.land_outcomes("2024-02", world.land("2024-02", rows=300))
    assert ask(world).ask


def test_a_run_that_is_retried_decides_as_it_did(tmp_path: Path):
    """Else a task that dies between recording and reporting would never ask."""
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    first = ask(world, "run-1")
    write(world, first, "run-1")
    assert ask(world, "run-1") == first
    other = ask(world, "run-2")
    assert not other.ask
    write(world, other, "run-2")
    standing = world.lake.table("tiny", "decisions").version()
    again = write(world, ask(world, "run-1"), "run-1")
    assert again.version == standing
    assert [row["asks"] for row in decisions(world)] == [True], "asked for already: no news"


def test_the_same_decision_is_written_once(tmp_path: Path):
    world = make_world(tmp_path)
    month(world, "2024-01")
    first = write(world, ask(world), "run-1")
    again = write(world, ask(world), "run-2")
    assert again == first
    assert len(decisions(world)) == 1


def test_what_is_written_says_all(tmp_path: Path):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    decision = ask(world)
    published = write(world, decision, "run-7")
    assert (published.partition, published.rows) == ("2024-02", 1)
    (row,) = decisions(world)
    assert row["decided_at"].tzinfo is not None
    assert {k: row[k] for k in ("as_of", "asks", "reasons", "champion_version", "run_id")} == {
        "as_of": "2024-02",
        "asks": True,
        "reasons": "no champion yet; 2 labelled partitions up to 2024-02, 2 needed",
        "champion_version": None,
        "run_id": "run-7",
    }
    signals = json.loads(row["signals"])
    assert signals["first_training"] == {"fires": True, "labelled_partitions": 2, "needed": 2}


def test_a_drifting_champion_is_replaced_once_there_is_something_new(tmp_path: Path):
    world = make_world(tmp_path)  # retrain when drift, 2 of 3
    for key in ("2024-01", "2024-02"):
        month(world, key)
    world.crown(as_of="2024-02", holdout="2024-02")
    month(world, "2024-03", shift=1.5, labelled=False)
    assert ask(world).reasons == [
        "predictions drifted in 1 of the last 1 windows (2024-03), 2 of 3 needed;"
        " the latest, 2024-03, is one of them"
    ]
    month(world, "2024-04", shift=1.5, labelled=False)
    decision = ask(world)
    assert not decision.ask
    assert decision.reasons[0].startswith("nothing new to learn: the newest labelled partition")
    world.land_outcomes("2024-03", world.land("2024-03", rows=300))
    decision = ask(world)
    assert (decision.ask, decision.as_of, decision.champion_version) == (True, "2024-04", "1")
    write(world, decision)

    # The new champion starts with a clean sheet.
    world.crown(as_of="2024-04", holdout="2024-03", seed=2)
    month(world, "2024-05")
    decision = ask(world)
    assert (decision.ask, decision.champion_version) == (False, "2")
    assert decision.signals["drift"] == {
        "fires": False, "flagged": 0, "windows": 1, "k": 2, "n": 3, "latest": False,
    }  # fmt: skip


def test_clustering_learns_from_every_partition(tmp_path: Path):
    world = make_world(tmp_path, "clustering")
    for key in ("2024-01", "2024-02"):
        world.land(key, rows=300)
    decision = ask(world)
    assert decision.ask
    assert decision.signals["newest_labelled"] == "2024-02"


def row(partition: str, kind: str, flagged: bool, version: str | None = "1") -> dict:
    return {"partition": partition, "kind": kind, "flagged": flagged, "model_version": version}


@pytest.mark.parametrize(
    ("rows", "windows"),
    [
        ([], []),
        # Monitored, too few rows to say: a window in which nothing is known.
        ([row("2024-03", "summary", False)], [Window("2024-03", None, None)]),
        (
            [
                row("2024-04", "prediction_drift", False),
                row("2024-04", "summary", True),
                row("2024-04", "feature_drift", True),
                row("2024-03", "performance", True),
                row("2024-03", "prediction_drift", True),
            ],
            [Window("2024-03", True, True), Window("2024-04", False, None)],
        ),
        # Another model's, and what this one has learned from.
        ([row("2024-03", "prediction_drift", True, "2")], []),
        ([row("2024-03", "prediction_drift", True, None)], []),
        ([row("2024-02", "prediction_drift", True)], []),
    ],
)
def test_windows_are_the_champions_own_and_newer_than_its_holdout(rows, windows):
    champion = Champion("1", as_of="2024-03", holdout_partition="2024-02")
    assert windows_of(champion, rows) == windows
