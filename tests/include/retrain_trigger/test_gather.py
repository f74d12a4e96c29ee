"""From lake and registry to a decision, and the memory of what was asked."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from include.batch_predict.predict import predict_partition
from include.drift_monitor.monitor import monitor_partition
from include.due.state import refuse, states
from include.due.wanted import (
    wanted_clean,
    wanted_decisions,
    wanted_features,
    wanted_training,
)
from include.feature.build import build_partition
from include.retrain_trigger.facts import Champion, Decision, Request, Window
from include.retrain_trigger.gather import (
    decide,
    gather,
    newest_labelled,
    newest_request,
    pending_partitions,
    standing_requests,
    windows_of,
)
from include.retrain_trigger.records import record
from include.validate_clean.validate import validate_and_clean
from tests.support.monitored import World, make_world
from tests.support.packages import tiny_rows


def ask(
    world: World, key: str = "2024-03", run_id: str | None = None, active: Sequence[str] = ()
) -> Decision:
    champion = world.ledger.current()
    return decide(
        world.use_case, key, world.lake, world.registry, champion, run_id=run_id, active=active
    )


def write(world: World, decision: Decision, run_id: str = "run"):
    return record(world.use_case, decision, world.lake, world.writer(run_id))


def decisions(world: World) -> list[dict]:
    rows = world.lake.table("tiny", "decisions").read().to_pylist()
    return sorted(rows, key=lambda row: row["decided_at"])


def month(world: World, key: str, shift: float = 0.0, labelled: bool = True) -> None:
    """Let a month land, be labelled and, if there is a champion, be scored and monitored."""
    rows = world.land(key, rows=300, seed=int(key[-2:]), shift=shift)
    if labelled:
        world.land_outcomes(key, rows)
    champion = world.ledger.current()
    if champion is not None:
        version = champion.version
        predict_partition(world.use_case, key, version, world.lake, world.registry, world.writer())
        monitor_partition(
            world.use_case, key, world.lake, world.registry, world.writer(), world.where / "reports"
        )


def training(world: World, as_of: str, status: str) -> None:
    """Let a training as of a partition stand like that in MLflow."""
    tags = {"flywheel.training": "yes", "flywheel.as_of": as_of}
    request = f"train {as_of} {status}"
    run_id = world.registry.run("tiny", request, request, tags)
    if status != "RUNNING":
        world.registry.client.set_terminated(run_id, status)
    time.sleep(0.002)  # MLflow orders runs by milliseconds


def test_nothing_landed_is_no_reason_to_ask(tmp_path: Path):
    world = make_world(tmp_path)
    decision = ask(world, "2024-01")
    assert (decision.ask, decision.as_of) == (False, "2024-01")
    assert decision.reasons == ["no champion yet; 0 labelled partitions, 2 needed"]
    assert newest_labelled(world.use_case, world.lake) is None
    assert newest_request(world.use_case, world.lake) is None


def test_the_first_training_is_asked_for_once(tmp_path: Path):
    world = make_world(tmp_path)
    month(world, "2024-01")
    assert ask(world).reasons == ["no champion yet; 1 labelled partitions up to 2024-01, 2 needed"]
    month(world, "2024-02")
    month(world, "2024-03", labelled=False)
    first = ask(world)
    assert (first.ask, first.as_of) == (True, "2024-02"), "up to what can be learned from"
    assert first.signals["newest_labelled"] == "2024-02"
    assert ask(world) == first  # deciding changes nothing; recording does
    write(world, first)
    assert ask(world).reasons[0] == "already asked for as of 2024-02"

    month(world, "2024-04", labelled=False)
    assert ask(world, "2024-04").reasons[0] == "already asked for as of 2024-02"
    rows = world.land("2024-04", rows=300)
    world.land_outcomes("2024-04", rows)
    assert ask(world, "2024-04").ask


@pytest.mark.parametrize("key", ["2024-01", "2024-04", "2024-12"])
def test_before_a_champion_every_arrival_of_a_backlog_asks_for_the_same_training(
    tmp_path: Path, key: str
):
    world = make_world(tmp_path)
    for landed in ("2024-01", "2024-02", "2024-03", "2024-04"):
        month(world, landed)
    assert (ask(world, key).ask, ask(world, key).as_of) == (True, "2024-04")


def test_with_a_champion_the_decision_is_as_of_the_key(tmp_path: Path):
    """A replayed year decides alike: what came later does not count."""
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    world.crown(as_of="2024-02", holdout="2024-02")
    month(world, "2024-03", shift=1.5)
    before = ask(world, "2024-03")
    month(world, "2024-04", shift=1.5)
    month(world, "2024-05", shift=0.0)

    assert ask(world, "2024-03") == before
    assert before.signals["drift"]["windows"] == 1
    april, may = ask(world, "2024-04"), ask(world, "2024-05")
    assert (april.ask, april.as_of, april.signals["drift"]["flagged"]) == (True, "2024-04", 2)
    assert (may.ask, may.as_of, may.signals["drift"]["latest"]) == (False, "2024-05", False)


@pytest.mark.parametrize("status", ["RUNNING", "FINISHED", "KILLED", None])
def test_a_training_that_was_asked_for_and_has_not_failed_counts(tmp_path: Path, status):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    write(world, ask(world))
    if status is not None:
        training(world, "2024-02", status)
    assert ask(world).reasons[0] == "already asked for as of 2024-02"


def test_a_training_that_failed_does_not_count_until_it_is_done_again(tmp_path: Path):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    first = ask(world)
    write(world, first)
    training(world, "2024-02", "FAILED")
    assert standing_requests(world.use_case, world.lake, world.registry) == []
    assert newest_request(world.use_case, world.lake).as_of == "2024-02", "whatever became of it"
    assert ask(world) == first

    training(world, "2024-02", "RUNNING")
    assert not ask(world).ask


def test_a_training_that_was_refused_is_asked_for_again_when_something_has_changed(
    tmp_path: Path,
):
    """It does not count as done, and is not asked for in vain."""
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    first = ask(world)
    write(world, first)
    words = "tiny: the holdout partitions must have rows with a label"
    sources = wanted_training(world.use_case, world.lake, "2024-02")["2024-02"]
    refuse("tiny", "training", "2024-02", sources, words, world.lake, world.writer())
    assert standing_requests(world.use_case, world.lake, world.registry) == []
    again = ask(world)
    assert not again.ask
    assert again.reasons[0] == (
        f"the training as of 2024-02 was refused, and nothing has changed since: {words}"
    )
    rows = world.land("2024-02", rows=300, seed=9)  # corrected
    world.land_outcomes("2024-02", rows)
    assert ask(world).ask


def test_a_failed_training_of_a_champion_does_not_use_up_the_cooldown(tmp_path: Path):
    world = make_world(tmp_path, retrain={"when": ["age"], "max_age": "1d", "cooldown": "60d"})
    for key in ("2024-01", "2024-02"):
        month(world, key)
    world.crown(as_of="2024-02", holdout="2024-01")
    month(world, "2024-03")
    write(world, ask(world, "2024-03"))
    month(world, "2024-04")
    assert ask(world, "2024-04").reasons[0].startswith("cooling down: asked as of 2024-03")
    training(world, "2024-03", "FAILED")
    assert ask(world, "2024-04").ask


# What a first training waits for


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world whose use case is on disk, so that rows can be raw and clean too."""
    folder = tmp_path / "use_cases" / "tiny"
    folder.mkdir(parents=True)
    suite = "- {expectation: expect_column_values_to_not_be_null, column: x, on_failure: refuse}\n"
    (folder / "expectations.yaml").write_text(suite)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    return world


def raw(world: World, key: str) -> None:
    """Let a month's rows be ingested, other ones than its features were made of."""
    columns = world.use_case.ingest.columns
    rows = tiny_rows(month=key, rows=300, seed=50 + int(key[-2:]))
    world.publish("raw", key, rows, columns)


def test_what_has_landed_before_and_has_no_features_yet_is_waited_for(landing):
    raw(landing, "2024-01")
    decision = ask(landing)
    assert not decision.ask
    assert decision.reasons == [
        "waits for what has landed before: 2024-01",
        "no champion yet; 2 labelled partitions up to 2024-02, 2 needed",
    ]
    validate_and_clean(landing.use_case, "2024-01", landing.lake, landing.writer())
    assert ask(landing).reasons[0] == "waits for what has landed before: 2024-01"
    build_partition(landing.use_case, "2024-01", landing.lake, landing.writer())
    assert ask(landing).ask


def test_what_landed_later_is_not_waited_for(landing):
    raw(landing, "2024-03")
    assert pending_partitions(landing.use_case, landing.lake, ["2024-03", "2024-04"]) == ["2024-03"]
    assert ask(landing).ask


@pytest.mark.parametrize("stage", ["clean", "features"])
def test_what_was_refused_is_not_waited_for(landing, stage):
    raw(landing, "2024-01")
    if stage == "features":
        validate_and_clean(landing.use_case, "2024-01", landing.lake, landing.writer())
    wanted = {"clean": wanted_clean, "features": wanted_features}[stage]
    sources = wanted(landing.use_case, landing.lake)["2024-01"]
    refuse("tiny", stage, "2024-01", sources, "a bad batch", landing.lake, landing.writer())
    assert ask(landing).ask
    # Corrected, it is another input.
    rows = tiny_rows(month="2024-01", rows=300, seed=99)
    landing.publish("raw", "2024-01", rows, landing.use_case.ingest.columns)
    assert not ask(landing).ask


def test_phases_that_run_are_waited_for_before_a_first_training_only(landing):
    active = ["tiny__feature", "tiny__ingest_label"]
    assert ask(landing, active=active).reasons[0] == (
        "waits for what has landed before: tiny__feature, tiny__ingest_label"
    )
    landing.crown(as_of="2024-02", holdout="2024-02")
    raw(landing, "2024-01")
    assert "waits" not in ask(landing, active=active).reasons[0]


# The memory of what was asked


def test_corrected_labels_are_another_training_set(tmp_path: Path):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02", "2024-03"):
        month(world, key)
    write(world, ask(world))
    training(world, "2024-03", "FINISHED")
    assert not ask(world).ask
    month(world, "2024-04")  # and so newer labels, by which the decision is as of another month
    world.land_outcomes("2024-02", world.land("2024-02", rows=300, seed=77))
    assert ask(world).ask


def test_corrections_after_a_first_request_ask_for_another_training(tmp_path: Path):
    """Once: the as-of partition is the same, and the second request is known by its training set.

    There may be no next month for long, and the first challenger may be rejected.
    """
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    write(world, ask(world))
    assert ask(world).reasons[0] == "already asked for as of 2024-02"
    world.land_outcomes("2024-01", world.land("2024-01", rows=300, seed=77))
    again = ask(world)
    assert (again.ask, again.as_of) == (True, "2024-02")
    write(world, again, "run-2")
    assert ask(world).reasons[0] == "already asked for as of 2024-02"


def test_a_run_that_is_retried_decides_as_it_did(tmp_path: Path):
    """Else a task that dies between recording and reporting would never ask."""
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    first = ask(world, run_id="run-1")
    write(world, first, "run-1")
    assert ask(world, run_id="run-1") == first
    other = ask(world, run_id="run-2")
    assert not other.ask
    other_one = write(world, other, "run-2")
    again = write(world, ask(world, run_id="run-1"), "run-1")
    assert not again.changed
    assert again.partition_version == other_one.partition_version
    assert [row["asks"] for row in decisions(world)] == [True], "asked for already: no news"


def test_the_same_decision_is_written_once(tmp_path: Path):
    world = make_world(tmp_path)
    month(world, "2024-01")
    first = write(world, ask(world), "run-1")
    again = write(world, ask(world), "run-2")
    assert (first.changed, again.changed) == (True, False)
    assert again.partition_version == first.partition_version
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
    request = newest_request(world.use_case, world.lake)
    assert request == Request("2024-02", "2024-02", decision.signals["training_set"])


def test_a_decision_on_a_monitored_month_is_up_to_date_until_the_report_changes(tmp_path: Path):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    world.crown(as_of="2024-02", holdout="2024-02")
    month(world, "2024-03", labelled=False)

    def status() -> str:
        wanted = wanted_decisions(world.use_case, world.lake)
        return states("tiny", "decisions", wanted, world.lake)["2024-03"].status

    assert status() == "due"
    write(world, ask(world, "2024-03"))
    assert status() == "up to date"
    month(world, "2024-03", labelled=True)  # the outcomes come: the report says more
    assert status() == "due"
    write(world, ask(world, "2024-03"))  # the same words again: nothing new is written
    assert status() == "up to date"


def test_a_report_that_comes_after_the_facts_leaves_the_decision_due(tmp_path: Path):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    world.crown(as_of="2024-02", holdout="2024-02")
    month(world, "2024-03", labelled=False)
    decision = ask(world, "2024-03")
    month(world, "2024-03", labelled=True)
    write(world, decision)
    wanted = wanted_decisions(world.use_case, world.lake)
    assert states("tiny", "decisions", wanted, world.lake)["2024-03"].due


def test_a_drifting_champion_is_replaced_once_there_is_something_new(tmp_path: Path):
    world = make_world(tmp_path)  # retrain when drift, 2 of 3
    for key in ("2024-01", "2024-02"):
        month(world, key)
    world.crown(as_of="2024-02", holdout="2024-02")
    month(world, "2024-03", shift=1.5, labelled=False)
    assert ask(world, "2024-03").reasons == [
        "predictions drifted in 1 of the last 1 windows (2024-03), 2 of 3 needed;"
        " the latest, 2024-03, is one of them"
    ]
    month(world, "2024-04", shift=1.5, labelled=False)
    decision = ask(world, "2024-04")
    assert not decision.ask
    assert decision.reasons[0].startswith("nothing new to learn: the newest labelled partition")
    world.land_outcomes("2024-03", world.land("2024-03", rows=300))
    decision = ask(world, "2024-04")
    assert (decision.ask, decision.as_of, decision.champion_version) == (True, "2024-04", "1")
    write(world, decision)

    # March is over: the new champion knows it. April came after all that it knows, so it stays.
    world.crown(as_of="2024-04", holdout="2024-03", seed=2)
    month(world, "2024-05")
    decision = ask(world, "2024-05")
    assert (decision.ask, decision.champion_version) == (False, "2")
    assert decision.signals["drift"] == {
        "fires": False, "flagged": 1, "windows": 2, "k": 2, "n": 3, "latest": False,
    }  # fmt: skip
    assert "(2024-04 of model 1)" in decision.reasons[0]
    month(world, "2024-06", shift=1.5)
    assert ask(world, "2024-06").ask, "2 of the last 3, one of them the former model's"


def test_aliases_do_not_decide_what_is_the_champion(tmp_path: Path):
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    first = world.crown(as_of="2024-02", holdout="2024-02")
    world.registry.client.delete_registered_model_alias("tiny", "champion")
    assert ask(world, "2024-03").champion_version == first


def test_clustering_learns_from_every_partition(tmp_path: Path):
    world = make_world(tmp_path, "clustering")
    for key in ("2024-01", "2024-02"):
        world.land(key, rows=300)
    decision = ask(world)
    assert decision.ask
    assert decision.signals["newest_labelled"] == "2024-02"


def row(partition: str, kind: str, flagged: bool, version: str | None = "4") -> dict:
    return {"partition": partition, "kind": kind, "flagged": flagged, "model_version": version}


@pytest.mark.parametrize(
    ("rows", "windows"),
    [
        ([], []),
        # Monitored, too few rows to say: a window in which nothing is known.
        ([row("2024-03", "summary", False)], [Window("2024-03", None, None, "4")]),
        (
            [
                row("2024-04", "prediction_drift", False),
                row("2024-04", "summary", True),
                row("2024-04", "feature_drift", True),
                row("2024-03", "performance", True),
                row("2024-03", "prediction_drift", True),
            ],
            [Window("2024-03", True, True, "4"), Window("2024-04", False, None, "4")],
        ),
        # An earlier model's, of a partition that is new to this one, too.
        ([row("2024-03", "performance", True, "3")], [Window("2024-03", None, True, "3")]),
        # What it knows is over, whoever scored it.
        ([row("2024-02", "prediction_drift", True)], []),
        ([row("2024-02", "performance", True, "3")], []),
        ([row("2024-03", "prediction_drift", True, None)], []),
    ],
)
def test_windows_are_of_partitions_that_are_new_to_the_champion(rows, windows):
    champion = Champion("4", as_of="2024-03", known_up_to="2024-02")
    assert windows_of(champion, rows) == windows


def test_what_a_champion_knows_is_older_than_its_as_of_where_labels_come_late(tmp_path: Path):
    """The ledger says it: the as-of partition had no labels yet, so it is in no training set."""
    world = make_world(tmp_path)
    for key in ("2024-01", "2024-02", "2024-03"):
        month(world, key)
    world.crown(as_of="2024-04", holdout="2024-03")
    facts = gather(world.use_case, "2024-04", world.lake, world.registry, world.ledger.current())
    assert facts.champion == Champion("1", as_of="2024-04", known_up_to="2024-03")
    assert (facts.rows, facts.new_rows) == (1200 - 300, 0)
    month(world, "2024-04")
    facts = gather(world.use_case, "2024-04", world.lake, world.registry, world.ledger.current())
    assert (facts.rows, facts.new_rows) == (1200, 300), "only April is new to it"


def test_new_rows_ask_for_a_training(tmp_path: Path):
    world = make_world(tmp_path, retrain={"when": ["new_rows"], "new_rows": 0.5})
    for key in ("2024-01", "2024-02"):
        month(world, key)
    world.crown(as_of="2024-02", holdout="2024-02")
    month(world, "2024-03")
    decision = ask(world, "2024-03")
    assert not decision.ask
    assert decision.reasons == [
        "300 of the 900 rows that a training would use are newer than 2024-02, the newest known to"
        " champion 1: 33%, 50% needed"
    ]
    month(world, "2024-04")
    assert ask(world, "2024-04").ask
    assert not ask(world, "2024-03").ask, "what came later does not count"


def label(world: World, key: str, wrong: int) -> None:
    """Publish a month's labels, the first of them turned over."""
    rows = tiny_rows(month=key, rows=300, seed=int(key[-2:]))
    outcome = rows["outcome"].to_numpy().copy()
    outcome[:wrong] = 1 - outcome[:wrong]
    world.land_outcomes(key, rows.assign(outcome=outcome))


def test_corrected_labels_ask_for_a_training(tmp_path: Path):
    world = make_world(tmp_path, retrain={"when": ["corrections"], "corrections": 0.01})
    for key in ("2024-01", "2024-02"):
        month(world, key)
    pin = world.lake.table("tiny", "labels").pin()
    pins = [{"table": pin.table, "version": pin.version, "table_id": pin.table_id}]
    world.crown(as_of="2024-02", holdout="2024-02", inputs=pins)
    assert ask(world, "2024-02").reasons == [
        "0 rows known to champion 1 have another label now, 0.0% of the 600 that a training would"
        " use; 1.0% needed"
    ]
    label(world, "2024-02", wrong=5)
    assert ask(world, "2024-02").signals["corrections"]["corrected_rows"] == 5
    assert not ask(world, "2024-02").ask
    label(world, "2024-01", wrong=2)
    decision = ask(world, "2024-02")
    assert decision.ask, "7 of 600, and no newer partition is needed"
    label(world, "2024-01", wrong=0)
    assert not ask(world, "2024-02").ask, "corrected back"
    month(world, "2024-03")  # labels that the champion never knew are not corrected ones
    label(world, "2024-03", wrong=50)
    assert ask(world, "2024-03").signals["corrections"]["corrected_rows"] == 5


def test_corrected_labels_are_not_counted_where_the_champions_are_gone(tmp_path: Path):
    world = make_world(tmp_path, retrain={"when": ["corrections"]})
    for key in ("2024-01", "2024-02"):
        month(world, key)
    pins = [{"table": "tiny.labels", "version": 0, "table_id": "another"}]
    world.crown(as_of="2024-02", holdout="2024-02", inputs=pins)
    assert ask(world, "2024-02").reasons == [
        "corrected labels cannot be counted: the labels that champion 1 was trained with are not in"
        " the lake any more"
    ]


def test_a_partition_with_few_of_its_labels_is_not_learned_from_and_is_named(tmp_path: Path):
    """The first of four outcome files makes no holdout of the newest month."""
    world = make_world(tmp_path)
    month(world, "2024-01")
    month(world, "2024-02")
    rows = world.land("2024-03", rows=300)
    world.land_outcomes("2024-03", rows.iloc[:75])
    decision = ask(world)
    assert (decision.ask, decision.signals["newest_labelled"]) == (True, "2024-02")
    assert gather(
        world.use_case, "2024-03", world.lake, world.registry, world.ledger.current()
    ).incomplete == ["2024-03 has 25% of its labels, 90% needed"]


def test_labels_that_came_to_rows_that_the_champion_knows_ask_for_a_training(tmp_path: Path):
    when = {"when": ["new_labels", "corrections"], "new_labels": 0.05}
    world = make_world(tmp_path, retrain=when)
    for key in ("2024-01", "2024-02"):
        month(world, key)
    rows = tiny_rows(month="2024-02", rows=300, seed=2)
    world.land_outcomes("2024-02", rows.iloc[:280])
    pin = world.lake.table("tiny", "labels").pin()
    pins = [{"table": pin.table, "version": pin.version, "table_id": pin.table_id}]
    world.crown(as_of="2024-02", holdout="2024-02", inputs=pins)
    assert ask(world, "2024-02").signals["new_labels"]["new_labels"] == 0
    world.land_outcomes("2024-02", rows.iloc[:290])
    decision = ask(world, "2024-02")
    assert decision.signals["new_labels"]["new_labels"] == 10
    assert not decision.ask, "10 of 590"
    world.land_outcomes("2024-02", rows)
    decision = ask(world, "2024-01")
    assert decision.signals["corrections"]["corrected_rows"] == 0
    assert (decision.as_of, decision.ask) == ("2024-02", False), "20 of 600"
    world.use_case = world.use_case.model_copy(
        update={"retrain": world.use_case.retrain.model_copy(update={"new_labels": 0.03})}
    )
    assert ask(world, "2024-01").ask
