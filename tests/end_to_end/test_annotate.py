"""People label digits on a real stack, by the REST API that the pages use too.

The tests go on where the one before them ended: 417 of 1,797 images landed with their digit. The
last one, which waits for a training, can run alone.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import httpx
import pytest

from include.labelling.answers import read_answers
from include.labelling.rounds import read_round, read_rounds
from include.use_cases.loader import get
from scripts.land_examples import TABLES
from tests.support import labelled_digits
from tests.support.labelled_digits import DAY, NAME
from tests.support.stacks import House, Run, house_of

pytestmark = pytest.mark.end_to_end

ITEMS = 8
SKIPPED, UNANSWERED, CLEARED = 0, 1, 2
"""Places of a question that is skipped, of one that nobody answers, of one that is asked twice."""
SECONDS_TO_READ = 5


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotate")
    labelled_digits.write_use_case(folder / "use_cases", items=ITEMS, within="1h")
    with house_of(folder, NAME) as house:
        labelled_digits.land(house.landing, TABLES[NAME]())
        yield house


@pytest.fixture(scope="module")
def truth():
    return labelled_digits.truth()


def asked(house: House, number: int) -> Run:
    """Wait until all questions of a round are asked; return the run."""

    def waiting() -> Run | None:
        for run in house.runs("annotate"):
            assert run.state != "failed", {task: run.log(task)[-2000:] for task in run.tasks}
            if run.tasks.get("ask") == "awaiting_input" and round_of(run) == number:
                return run
        return None

    return house.until(waiting, f"round {number} is asked", 600)


def round_of(run: Run) -> int:
    return questions(run)[0]["round"]


def questions(run: Run) -> list[dict[str, Any]]:
    path = f"{run._path}/taskInstances/choose_items/xcomEntries/return_value"
    return run.house.get(path, deserialize=True)["value"]


def images(run: Run) -> list[str]:
    """Name the image of each question."""
    made = read_round(get(NAME), DAY, round_of(run), run.house.lake)
    named = {one.item: one.key["image"] for one in made.items}
    return [named[question["item"]] for question in questions(run)]


def answers(house: House, number: int) -> list[dict[str, Any]]:
    rows = read_answers(get(NAME), DAY, house.lake).to_pylist()
    return [row for row in rows if row["_round"] == number]


def test_a_question_shows_the_picture_and_offers_the_classes(house):
    run = asked(house, 1)
    path = f"{run._path}/taskInstances/ask/0/hitlDetails"
    question = house.get(path)
    assert question["options"] == [*map(str, range(10)), "Skip"]
    assert question["defaults"] == ["Skip"]
    item = questions(run)[0]["item"]
    address = f"flywheel/{NAME}/pictures/{DAY}/{item}.png"
    assert f"![picture]({address})" in question["body"]
    url = f"{house.stack.settings.airflow_url}/{address}"
    given = httpx.get(url, headers=dict(house.api.headers), timeout=30, trust_env=False)
    assert given.content.startswith(b"\x89PNG")
    assert httpx.get(url, timeout=30, trust_env=False).status_code == 401


def test_what_airflow_does_not_offer_is_no_answer(house):
    run = asked(house, 1)
    assert run.answer("ask", "eleven", map_index=0).status_code == 400
    assert answers(house, 1) == []


def test_answers_become_labels_and_what_is_none_becomes_none(house, truth):
    run = asked(house, 1)
    shown = images(run)
    for place, image in enumerate(shown):
        if place == SKIPPED:
            run.answer("ask", "Skip", map_index=place).raise_for_status()
        elif place == CLEARED:
            wrong = str((int(truth[image]) + 1) % 10)
            run.answer("ask", wrong, map_index=place).raise_for_status()
        elif place != UNANSWERED:
            run.answer("ask", truth[image], map_index=place).raise_for_status()
    assert run.answer("ask", "1", map_index=3).status_code == 409, "an answer stands"
    house.until(lambda: state_of(run, CLEARED) == "success", "the answer is taken", 120)
    run.ask_again("ask", map_index=CLEARED)
    house.until(lambda: state_of(run, CLEARED) == "awaiting_input", "it is asked again", 120)
    # As long as a person takes at least. The scheduler takes a task for failed that was answered
    # before it has noticed the pause, and lets it ask once more.
    time.sleep(SECONDS_TO_READ)
    run.answer("ask", truth[shown[CLEARED]], map_index=CLEARED).raise_for_status()
    time_is_up(house, UNANSWERED)
    assert house.ended("annotate", run.run_id, 240).state == "success", run.tasks

    told = {(row["image"], row["_external"][-3:]): row for row in answers(house, 1)}
    verdicts = [told[image, f"{place}/1"]["_verdict"] for place, image in enumerate(shown)]
    expected = ["counts"] * ITEMS
    expected[SKIPPED], expected[UNANSWERED], expected[CLEARED] = "skipped", "nobody", "repeated"
    assert verdicts == expected
    assert told[shown[CLEARED], f"{CLEARED}/2"]["_verdict"] == "counts"
    assert told[shown[UNANSWERED], f"{UNANSWERED}/1"]["_annotator"] is None
    labels = house.table("labels").read([DAY], None).to_pylist()
    given = {row["image"]: row for row in labels if row["_chosen"] is not None}
    labelled = [image for place, image in enumerate(shown) if place not in (SKIPPED, UNANSWERED)]
    assert {image: str(row["label"]) for image, row in given.items()} == {
        image: truth[image] for image in labelled
    }
    assert {row["_chosen"] for row in given.values()} == {"random"}, "there was no champion"


def state_of(run: Run, place: int) -> str:
    """Return the state of a question's task."""
    found = run.house.get(f"{run._path}/taskInstances", task_id="ask")["task_instances"]
    return {one["map_index"]: one["state"] for one in found}[place]


def time_is_up(house: House, place: int) -> None:
    """Let the scheduler find that nobody answered in time."""
    path = house.stack.settings.airflow_home / "airflow.db"
    with sqlite3.connect(path, timeout=60) as database:
        database.execute(
            "UPDATE task_instance SET trigger_timeout = '2020-01-01 00:00:00' "
            "WHERE task_id = 'ask' AND map_index = ? AND state = 'awaiting_input'",
            [place],
        )


def test_collecting_again_records_nothing_twice_and_starts_nothing(house):
    (run,) = [run for run in house.runs("annotate") if run.state == "success" and ran(run)]
    before = answers(house, 1), house.version("labels", DAY)
    house.clear(run, "collect_answers")
    assert run.state == "success", run.tasks
    assert (answers(house, 1), house.version("labels", DAY)) == before


def ran(run: Run) -> bool:
    return run.tasks["choose_items"] == "success"


def test_a_training_is_considered_once_for_the_round(house):
    """By the event of the labels; no other phase emits one here."""
    events = house.get("/assets/events", name_pattern=f"{NAME}.labels", limit=100)["asset_events"]
    of_rounds = [one for one in events if one["source_dag_id"] == f"{NAME}__annotate"]
    assert [one["partition_key"] for one in of_rounds] == [DAY]

    def decided() -> bool:
        started = [one for run in house.runs("retrain_trigger") for one in causes(run)]
        return f"{NAME}__annotate" in started

    house.until(decided, "retrain_trigger looks at the labels of the round", 180)


def causes(run: Run) -> list[str]:
    """Name the Dags whose events started a run."""
    events = run.house.get(f"{run._path}/upstreamAssetEvents")["asset_events"]
    return [one["source_dag_id"] for one in events]


@pytest.mark.slow
def test_the_champion_chooses_what_it_is_unsure_of(house, truth):
    """Rounds that began while there was none yet are answered first."""
    house.until(lambda: house.ledger.current(), "there is a champion", 600)
    champion = house.ledger.current().version
    number = 1 + sum(ran(run) and run.state == "success" for run in house.runs("annotate"))
    while {row["_model"] for row in rows_of(house, asked(house, number))} != {champion}:
        assert number < 4, "the champion chooses nothing"
        answer_rightly(asked(house, number), truth)
        number += 1
    run = asked(house, number)
    rows = rows_of(house, run)
    policies = [row["_policy"] for row in rows]
    assert policies.count("uncertain") >= ITEMS / 2, policies
    assert all(row["_score"] is not None for row in rows if row["_policy"] == "uncertain")
    body = house.get(f"{run._path}/taskInstances/ask/0/hitlDetails")["body"]
    assert "uncertain" not in body, "why it was chosen is not shown"
    answer_rightly(run, truth)
    images = {row["image"] for row in rows}
    labels = house.table("labels").read([DAY], None).to_pylist()
    given = {row["image"]: row for row in labels if row["image"] in images}
    assert {image: str(row["label"]) for image, row in given.items()} == {
        image: truth[image] for image in images
    }
    assert "uncertain" in {row["_chosen"] for row in given.values()}


def rows_of(house: House, run: Run) -> list[dict[str, Any]]:
    rows = read_rounds(get(NAME), DAY, house.lake).to_pylist()
    number = round_of(run)
    return [row for row in rows if row["_round"] == number]


def answer_rightly(run: Run, truth: dict[str, str]) -> None:
    for place, image in enumerate(images(run)):
        run.answer("ask", truth[image], map_index=place).raise_for_status()
    assert run.house.ended("annotate", run.run_id, 240).state == "success", run.tasks
