"""What an Airflow engineer does to runs, on a real stack: pause, clear, materialize, break.

One stack turns a small use case with partitions of a day; each test works on days of its own, in
the order of the file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import psutil
import pytest

from tests.support import daily
from tests.support.stacks import House, Run, daily_house
from tests.support.webhook import webhook

pytestmark = pytest.mark.end_to_end

FIRST = daily.days("2024-01-01", 4)
OUTAGE_S = 180.0
"""Far longer than the 70 s in which all retries of a task are used up."""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with daily_house(tmp_path_factory.mktemp("daily")) as house:
        for day in FIRST:
            daily.land(house.landing, day, outcomes=day < FIRST[-1])
        house.until(house.served, "a first champion serves", 300)
        house.at_rest()
        yield house


def through(house: House, day: str) -> None:
    """Wait until a day is monitored, and all is at rest."""
    house.until(lambda: house.version("monitoring", day), f"{day} is monitored")
    house.at_rest()


def test_a_backlog_starts_one_training_as_of_its_newest_labelled_day(house):
    trainings = house.runs("train_tune")

    assert [run.facts["partition_key"] for run in trainings] == [FIRST[2]]
    assert trainings[0].tasks["run_trial"] == "success"
    promotion = house.ledger.current()
    assert (promotion.number, promotion.as_of, promotion.previous) == (1, FIRST[2], None)
    assert house.table("predictions").partitions() == [FIRST[3]]  # the rest it has learned from


def test_each_run_does_the_work_of_its_key_and_no_other(house):
    days = daily.days("2024-01-05", 2)
    for day in days:
        daily.land(house.landing, day)
    for day in days:
        through(house, day)
        for phase, task in (
            ("validate_clean", "validate_and_clean"),
            ("feature", "build_features"),
            ("batch_predict", "predict_partition"),
        ):
            (run,) = house.runs(phase, day)
            assert run.tasks[task] == "success"
            assert day in run.log(task)
            assert not any(other in run.log(task) for other in days if other != day)


def test_a_run_without_a_key_fails_at_once_and_says_so(house):
    for phase, task in (
        ("validate_clean", "validate_and_clean"),
        ("retrain_trigger", "decide_retraining"),
        ("train_tune", "prepare_training"),
        ("deploy", "compare_models"),
    ):
        run = house.run(phase)
        assert (run.state, run.tasks[task]) == ("failed", "failed")
        assert "must have a partition key" in run.log(task)
        assert run.tries(task) == 1


def test_what_a_dag_does_not_know_is_refused(house):
    misspelt = house.run("feature", FIRST[0], forse=True)
    assert misspelt.tasks["build_features"] == "failed"
    assert "'forse'" in misspelt.log("build_features")

    assert house.trigger("ingest_label", FIRST[0]).status_code == 400


def test_asked_for_by_a_person_it_works_and_starts_nothing_when_nothing_differs(house):
    day, before = FIRST[1], house.version("features", FIRST[1])
    events = len(house.runs("batch_predict", day))

    run = house.run("feature", day)

    assert run.tasks["build_features"] == "skipped"
    assert "the same content as before" in run.log("build_features")
    assert house.version("features", day) == before
    time.sleep(3)
    assert len(house.runs("batch_predict", day)) == events


def test_clearing_a_run_and_a_task_does_the_work_again(house):
    task = "validate_and_clean"
    run = house.runs("validate_clean", FIRST[2])[0]
    before = run.tries(task)

    house.clear(run)
    assert run.tries(task) == before + 1
    assert "the same content as before" in run.log(task, before + 1)

    house.clear(run, task)
    assert run.tries(task) == before + 2
    assert "the same content as before" in run.log(task, before + 2)


def test_materialize_does_the_work_of_its_key(house):
    assets = house.get("/assets", name_pattern="daily.clean")["assets"]
    asset_id = next(asset["id"] for asset in assets if asset["name"] == "daily.clean")
    body = {"partition_key": FIRST[0]}
    answer = house.api.post(f"/assets/{asset_id}/materialize", json=body).raise_for_status().json()

    run = house.ended("validate_clean", answer["dag_run_id"])

    assert run.facts["run_type"] == "asset_materialization"
    assert "the same content as before" in run.log("validate_and_clean")


def test_two_runs_of_one_key_at_once_end_in_one_result(house):
    day, before = FIRST[0], house.version("clean", FIRST[0])
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(house.trigger("validate_clean", day)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    runs = [house.ended("validate_clean", answer.json()["dag_run_id"]) for answer in answers]

    assert {run.state for run in runs} == {"success"}
    assert house.version("clean", day) == before
    assert house.table("clean").read([day]).num_rows == 60


@pytest.mark.slow
def test_what_a_paused_dag_missed_is_sent_again(house):
    house.pause("validate_clean", True)
    days = daily.days("2024-01-07", 2)
    for day in days:
        daily.land(house.landing, day)
    house.until(lambda: all(house.version("raw", day) for day in days), "both days are raw")
    paused = house.housekeeping()
    assert "which is paused" in paused.log("send_lost_events")
    house.pause("validate_clean", False)
    house.at_rest()

    sent = house.housekeeping()

    for day in days:
        assert f"daily.raw {day}" in sent.log("send_lost_events") or house.version("clean", day)
        through(house, day)
    assert house.housekeeping().tasks["send_lost_events"] == "skipped"


def test_a_rebuild_starts_the_newest_first_and_what_follows_only_where_it_differs(house):
    suite = house.use_cases / daily.NAME / "expectations.yaml"
    before = {day: house.version("clean", day) for day in FIRST[:3]}
    run = house.run("rebuild", phase="validate_clean", first=FIRST[0], last=FIRST[2], most=2)
    house.at_rest()

    assert run.state == "success"
    started = [r for r in house.runs("validate_clean") if r.run_id.startswith(run.run_id)]
    assert sorted(r.facts["partition_key"] for r in started) == FIRST[1:3]
    assert {r.tasks["validate_and_clean"] for r in started} == {"skipped"}
    assert {day: house.version("clean", day) for day in FIRST[:3]} == before
    assert suite.exists()


def test_an_edit_of_the_definition_is_said_and_starts_nothing_until_it_is_rebuilt(house):
    yaml = house.use_cases / daily.NAME / "use_case.yaml"
    text = yaml.read_text()
    house.housekeeping()  # writes down what the definition is
    before = len(house.runs("validate_clean"))
    yaml.write_text(text.replace("max_quarantined_share: 0.2}", "max_quarantined_share: 0.3}"))
    try:
        said = house.housekeeping().log("send_lost_events")
        assert "Out of date: clean of " in said
        assert "changed since: validate). Start daily__rebuild with phase=validate_clean" in said
        assert len(house.runs("validate_clean")) == before, "nothing was started"
        rebuild_out_of_date(house)
        newest = house.runs("validate_clean", FIRST[0])[0]
        assert "the same content as before" in newest.log("validate_and_clean")
        assert house.housekeeping().tasks["send_lost_events"] == "skipped"
    finally:
        yaml.write_text(text)
    rebuild_out_of_date(house)
    assert house.housekeeping().tasks["send_lost_events"] == "skipped"


def rebuild_out_of_date(house):
    form = {"first": "2000-01-01", "last": "2099-12-31", "most": 366, "only": "out of date"}
    assert house.run("rebuild", phase="validate_clean", **form).state == "success"
    house.at_rest()


def test_a_poison_day_is_red_alone_then_mended(house):
    good, bad = daily.days("2024-01-09", 2)
    daily.land(house.landing, bad, broken=True)
    daily.land(house.landing, good)
    through(house, good)
    house.at_rest()
    red = [run for run in house.runs("ingest_label") if run.state == "failed"]
    red = [run for run in red if run.tasks.get("report_refused") == "failed"]
    assert len(red) == 1
    words = red[0].log("report_refused")
    for said in (bad, "'heat'", "warm"):
        assert said in words
    assert red[0].tries("report_refused") == 1

    later = house.run("ingest_label")  # a person: the refused one is tried again, and refused again
    assert later.state == "failed"
    looked = house.housekeeping()
    assert looked.tasks == {"send_lost_events": "skipped", "raise_alerts": "success"}  # not due

    # An alert: a channel is a connection, made as a person makes it.
    with webhook() as chat:
        connection = {
            "connection_id": "flywheel_alerts_webhook", "conn_type": "http",
            "host": f"http://127.0.0.1:{chat.server_port}", "password": "services/S3cret",
        }  # fmt: skip
        house.api.post("/connections", json=connection).raise_for_status()
        for _ in range(2):
            assert house.housekeeping().tasks["raise_alerts"] == "success"
        daily.land(house.landing, bad)
        through(house, bad)
        house.at_rest()
        looked = house.housekeeping()
        house.api.delete("/connections/flywheel_alerts_webhook").raise_for_status()
    told = [body["text"] for _, body in chat.came if "ingest_label" in body["text"]]
    assert [text.splitlines()[0] for text in told] == [
        "*[Flywheel] daily: a phase has failed*",
        "*[Flywheel] daily: over: a phase has failed*",
    ]
    assert "S3cret" not in looked.log("raise_alerts")
    assert house.table("raw").read([bad]).num_rows == 60


def test_a_retracted_day_is_gone_with_a_record(house):
    (day,) = daily.days("2024-01-10", 1)
    run = house.run("retract", partition=day, reason="sent by mistake")
    house.at_rest()

    assert run.state == "success"
    assert day not in house.table("raw").partitions()
    assert day not in house.table("features").partitions()
    assert not (house.landing / "parts" / day / "rows.csv").exists()
    assert (house.landing / ".retracted" / "parts" / day / "rows.csv").exists()
    (record,) = house.table("retractions").read([day]).to_pylist()
    assert (record["reason"], record["who"]) == ("sent by mistake", "admin")
    assert house.housekeeping().tasks["send_lost_events"] == "skipped"


def test_an_old_promotion_that_is_cleared_does_not_bring_its_model_back(house):
    first = house.ledger.current()
    old = next(run for run in house.runs("deploy") if run.tasks.get("promote") == "success")
    house.run("train_tune", FIRST[2], trials=1)
    house.at_rest()
    version = str(max(int(v) for v in _versions(house)))
    house.run("deploy", FIRST[2], version=version, override="a test of clearing")
    house.at_rest()
    now = house.ledger.current()
    assert (now.number, now.version, now.previous) == (first.number + 1, version, first.version)
    assert "a test of clearing" in now.why
    assert now.who == "admin"

    cleared = house.clear(old, "promote")

    assert cleared.tasks["promote"] == "failed"
    assert f"but {version} serves now" in cleared.log("promote", cleared.tries("promote"))
    assert house.ledger.current() == now
    house.until(lambda: house.served() == version, "the override serves")


def _versions(house: House) -> list[str]:
    from include.registry.client import Registry

    os.environ |= {
        name: value
        for name, value in house.stack.environment().items()
        if name.startswith("MLFLOW_TRACKING")
    }
    return Registry(house.settings.tracking_uri).versions(daily.NAME)


@pytest.mark.parametrize("part", ["scheduler", "triggerer"])
def test_a_killed_part_loses_nothing(house, part):
    number = {"scheduler": 11, "triggerer": 13}[part]
    days = daily.days(f"2024-01-{number}", 2)
    pid = house.stack._run.record(part).facts["pid"]
    for day in days:
        daily.land(house.landing, day)
    if part == "scheduler":  # in the middle of the work, or between an event and its run
        house.until(lambda: house.version("raw", days[0]), "the first day is raw")
    os.kill(pid, signal.SIGKILL)
    house.until(lambda: house.stack.status().healthy, f"{part} is back", 180)
    house.until(lambda: all(house.version("raw", day) for day in days), "both days are raw", 180)
    house.at_rest()
    for _ in range(4):  # a look for each phase that may have lost its event
        if all(house.version("monitoring", day) for day in days):
            break
        house.housekeeping()
    assert all(house.version("monitoring", day) for day in days)
    assert house.housekeeping().tasks["send_lost_events"] == "skipped"


def _running_tasks(house: House) -> list[psutil.Process]:
    """Find the processes of tasks: each worker of the local executor forks one for its task."""
    scheduler = psutil.Process(house.stack._run.record("scheduler").facts["pid"])
    found = []
    for child in scheduler.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += child.children(recursive=True)
    return [process for process in found if not process.children()]


def _kill_while_running(house: House, run: Run, task: str) -> None:
    """Kill the process of a task, -9, while Airflow says that it runs."""

    def killed() -> bool:
        if run.tasks.get(task, "").find("running") < 0:
            return False
        for process in _running_tasks(house):
            process.kill()
            return True
        return False

    house.until(killed, f"{task} is killed", 60)


def test_a_killed_trial_is_run_again_and_the_training_finishes(house):
    started = house.trigger("train_tune", FIRST[2], trials=6).json()["dag_run_id"]
    run = Run(house, "train_tune", started)

    _kill_while_running(house, run, "run_trial")
    house.ended("train_tune", started)

    assert run.state == "success"
    assert run.tasks["run_trial"] == "success"
    assert run.tries("run_trial") == 2
    assert "6 of 6 trials completed" in run.log("finish_training")
    house.at_rest()


def test_a_killed_training_makes_one_version(house):
    before = set(_versions(house))
    started = house.trigger("train_tune", FIRST[2], trials=1).json()["dag_run_id"]
    run = Run(house, "train_tune", started)

    _kill_while_running(house, run, "finish_training")
    house.ended("train_tune", started)

    assert run.state == "success"
    assert run.tries("finish_training") == 2
    assert len(set(_versions(house)) - before) == 1
    house.at_rest()


@pytest.mark.slow
def test_a_deploy_outlives_an_outage_of_serving(house):
    version = str(max(int(v) for v in _versions(house)))
    as_of = FIRST[2]
    serving = psutil.Process(house.stack._run.record("serving").facts["pid"])
    serving.suspend()  # it hangs: the port takes connections and nobody answers
    try:
        conf = {"version": version, "override": "a test of an outage"}
        started = house.trigger("deploy", as_of, **conf).json()["dag_run_id"]
        run = Run(house, "deploy", started)
        house.until(lambda: run.tasks.get("confirm_serving") == "deferred", "it waits", 60)
        time.sleep(OUTAGE_S)
        assert run.state == "running"
        assert run.tasks["confirm_serving"] == "deferred"
    finally:
        serving.resume()

    house.ended("deploy", started)
    assert run.state == "success"
    assert house.served() == version
    house.at_rest()
