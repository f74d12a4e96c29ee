"""A round of questions through the real operators, on a real lake; Airflow's record is a double."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock, create_autospec

import numpy as np
import pyarrow as pa
import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from include.annotate.guesses import Guesses
from include.errors import ServiceUnavailable
from include.labelling import asking
from include.labelling.answers import read_answers
from include.labelling.rounds import read_round, read_rounds
from include.lake.table import Lake
from include.registry.ledger import Ledger
from include.use_cases.loader import get
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators import annotate as module
from plugins.operators.annotate import (
    AskForLabelOperator,
    ChooseItemsOperator,
    CollectAnswersOperator,
    PublishLabelsOperator,
)
from tests.include.conftest import writer
from tests.support import scans as scans_support
from tests.support.scans import DAY, NAME, land, truth
from tests.support.tasks import emitted, execute, is_small_json, make_context

OPTIONS = ["letter", "bill", "form"]
LABELS = Asset(name=f"{NAME}.labels")


@pytest.fixture
def write(home, monkeypatch):
    """Write the use case `scans`, with other keys of `labels.people`."""
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(home / "use_cases"))

    def write(description: str = "Which kind of scan is this?", **people: Any) -> Any:
        scans_support.write(home / "use_cases", people, description=description)
        return get(NAME)

    return write


@pytest.fixture
def scans(write, lake, registry):
    config = write()
    land(config, lake)
    return config


@pytest.fixture
def lake(home):
    return Lake(str(home / "lake"))


def choose(run: int = 1, **context: Any) -> list[dict[str, Any]]:
    task = ChooseItemsOperator(task_id="choose_items", use_case=NAME)
    return execute(task, make_context(run=run, key=DAY, **context))


@pytest.fixture
def asked(monkeypatch):
    """Keep what is asked instead of writing it into Airflow's database."""
    double = Mock()
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", double)
    return double


def ask(question: dict[str, Any], config: Any) -> timedelta:
    """Ask; return how long an answer is waited for."""
    task = AskForLabelOperator(
        task_id="ask", use_case=NAME, question=question, options=OPTIONS,
        response_timeout=config.labels.people.within,
    )  # fmt: skip
    context = make_context(key=DAY)
    context["ti"].id, context["task_instance"] = "id", context["ti"]
    with pytest.raises(TaskAwaitingInput) as waiting:
        execute(task, context)
    return waiting.value.timeout


class Recorded:
    """What Airflow has recorded of the questions of a run."""

    def __init__(self, questions: list[dict[str, Any]], lake: Lake, config: Any) -> None:
        made = read_round(config, DAY, questions[0]["round"], lake)
        scans = {one.item: one.key["scan"] for one in made.items}
        self.scans = [scans[question["item"]] for question in questions]
        self.found: list[dict[str, Any]] = []

    def answer(
        self, index: int, who: str | None = "ann", option: str = "", number: int = 1
    ) -> None:
        """Answer rightly, or as told; None is Airflow itself, when the time is over."""
        self.found.append(
            {
                "map_index": index,
                "try_number": number,
                "responded_by_user": who and {"id": "7", "name": who},
                "responded_at": datetime.now(UTC).isoformat(),
                "chosen_options": [option or OPTIONS[truth(self.scans[index])]],
            }
        )

    def ask(self, index: int) -> None:
        nobody = {"responded_by_user": None, "responded_at": None, "chosen_options": None}
        self.found.append({"map_index": index, "try_number": 1, **nobody})


@pytest.fixture
def answers(monkeypatch):
    double = create_autospec(AirflowApiHook.answers_of)
    monkeypatch.setattr(AirflowApiHook, "answers_of", double)
    return double


@pytest.fixture
def questions(scans):
    return choose()


@pytest.fixture
def recorded(questions, lake, scans, answers):
    found = Recorded(questions, lake, scans)
    answers.return_value = found.found
    return found


def collect(questions: list[dict[str, Any]], run: int = 1, **context: Any) -> dict[str, Any]:
    task = CollectAnswersOperator(task_id="collect_answers", use_case=NAME)
    pulled = {("choose_items", "return_value"): questions}
    return execute(task, make_context(run=run, key=DAY, pulled=pulled, **context))


def publish(**how: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    task = PublishLabelsOperator(task_id="publish_labels", use_case=NAME, outlets=[LABELS])
    context = make_context(key=DAY, **how)
    return execute(task, context), context


# Choose


def test_a_round_is_chosen_once_and_only_ids_are_handed_on(scans, lake):
    questions = choose()
    assert is_small_json(questions)
    assert [one["place"] for one in questions] == list(range(1, 11))
    assert {(one["round"], one["of"]) for one in questions} == {(1, 10)}
    assert [one["item"] for one in questions] == sorted(one["item"] for one in questions)
    assert choose() == choose(attempt=2) == choose(clear_number=1) == questions
    assert read_rounds(scans, DAY, lake).num_rows == 10


def test_of_a_round_that_is_asked_elsewhere_only_its_number_is_handed_on(write, lake, registry):
    """It may have 10,000 items."""
    land(write(ask="label_studio", connection="label_studio", items=60), lake)
    assert choose() == [{"round": 1, "of": 60}]


def test_while_a_round_is_open_another_run_asks_nobody(questions):
    with pytest.raises(AirflowSkipException, match=f"Round 1 of {DAY} is open until"):
        choose(run=2)


def test_a_run_that_is_cleared_when_its_round_is_closed_asks_nobody(questions, monkeypatch):
    later(monkeypatch, days=8)
    with pytest.raises(AirflowSkipException, match=r"Round 1 of .* is closed\. Start the Dag with"):
        choose(clear_number=1)


def test_the_champion_says_what_it_is_unsure_of(scans, stub, monkeypatch, lake):
    monkeypatch.setattr(Ledger, "current", lambda self: Mock(version="7"))
    guesses = stub("include.annotate.guesses.guesses_of", None)
    choose()
    config, partition, version, given_lake, _ = guesses.call_args.args
    assert (config.name, partition, version, given_lake.uri) == (NAME, DAY, "7", lake.uri)


EVENT = {"run_type": "asset_triggered"}


@pytest.fixture
def champion(monkeypatch):
    """Let a version serve: `champion("7")`; it cannot score, which is no reason to ask nobody."""

    def serves(version: str) -> None:
        monkeypatch.setattr(Ledger, "current", lambda self: Mock(version=version))
        chances = Guesses(version, {}, np.empty((0, 3)))
        monkeypatch.setattr("include.annotate.guesses.guesses_of", lambda *given: chances)

    return serves


def test_without_a_champion_each_event_starts_a_round_when_the_last_is_closed(
    questions, recorded, scans
):
    collect(questions)
    assert {one["round"] for one in choose(run=2, **EVENT)} == {2}


def test_a_champion_chooses_one_round_unless_a_person_asks_for_more(
    questions, recorded, scans, champion
):
    collect(questions)
    champion("7")
    second = choose(run=2, **EVENT)
    assert {one["round"] for one in second} == {2}
    assert choose(run=2, attempt=2, **EVENT) == second, "a retry has its round"
    recorded.found.clear()
    collect(second, run=2)
    with pytest.raises(AirflowSkipException, match="Champion 7 has chosen round 2 of 2024-05-01"):
        choose(run=3, **EVENT)
    assert {one["round"] for one in choose(run=4)} == {3}
    recorded.found.clear()


def test_the_next_champion_chooses_again(questions, recorded, scans, champion):
    collect(questions)
    champion("7")
    second = choose(run=2, **EVENT)
    collect(second, run=2)
    champion("8")
    assert {one["round"] for one in choose(run=3, **EVENT)} == {3}


def test_without_rows_it_says_so(scans):
    task = ChooseItemsOperator(task_id="choose_items", use_case=NAME)
    with pytest.raises(AirflowFailException, match=f"has no .*2024-05-09|2024-05-09.*{DAY}"):
        execute(task, make_context(key="2024-05-09"))
    with pytest.raises(AirflowFailException, match="the run must have a partition key"):
        execute(task, make_context(key=None))


# Ask


def later(monkeypatch: pytest.MonkeyPatch, **how: float) -> None:
    """Move the clock on: of the operators, and of the round."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(**how)

    monkeypatch.setattr(module, "datetime", Later)
    monkeypatch.setattr(asking, "datetime", Later)


def test_the_question_has_the_classes_the_row_and_skip_as_default(asked, questions, scans, lake):
    ask(questions[2], scans)
    sent = asked.call_args.kwargs
    assert sent["options"] == [*OPTIONS, "Skip"]
    assert sent["defaults"] == ["Skip"], "the scheduler writes it when the time is over"
    assert sent["subject"] == "Which kind of scan is this? (3 of 10)"
    made = read_round(scans, DAY, 1, lake)
    (item,) = [one for one in made.items if one.item == questions[2]["item"]]
    assert f"- **scan**: `{item.key['scan']}`\n- **ink**: `{item.row['ink']}`" in sent["body"]
    assert "random" not in sent["body"], "why it was chosen is not shown"


def test_all_questions_of_a_round_close_together(asked, questions, scans, monkeypatch):
    assert ask(questions[0], scans) == pytest.approx(timedelta(days=7), abs=timedelta(minutes=1))
    later(monkeypatch, days=6)
    assert ask(questions[0], scans) == pytest.approx(timedelta(days=1), abs=timedelta(minutes=1))
    closes = {re.search("until .* UTC", one.kwargs["body"])[0] for one in asked.call_args_list}
    assert len(closes) == 1


def test_nobody_is_asked_again_when_the_round_is_closed(asked, questions, scans, monkeypatch):
    later(monkeypatch, days=8)
    with pytest.raises(AirflowFailException, match="must be open, and closed at"):
        ask(questions[0], scans)
    asked.assert_not_called()


def test_nobody_is_asked_about_a_row_that_is_gone(asked, questions, scans, lake):
    rows = lake.table(NAME, "clean").read([DAY], None)
    gone = read_round(scans, DAY, 1, lake).items[0].key["scan"]
    left = rows.filter([one != gone for one in rows["scan"].to_pylist()]).drop_columns("partition")
    lake.table(NAME, "clean").publish(left, partition=DAY, schema=left.schema, writer=writer(2))
    with pytest.raises(AirflowFailException, match=r"must be in the clean rows .* and is not"):
        ask(questions[0], scans)
    ask(questions[1], scans)
    assert asked.call_count == 1


def test_nobody_is_asked_about_a_row_that_was_corrected(asked, questions, scans, lake):
    rows = lake.table(NAME, "clean").read([DAY], None).drop_columns("partition")
    changed = read_round(scans, DAY, 1, lake).items[0].key["scan"]
    ink = [9.0 if row["scan"] == changed else row["ink"] for row in rows.to_pylist()]
    other = rows.set_column(rows.column_names.index("ink"), "ink", pa.array(ink))
    lake.table(NAME, "clean").publish(other, partition=DAY, schema=other.schema, writer=writer(2))
    with pytest.raises(AirflowFailException, match="it was corrected or retracted since"):
        ask(questions[0], scans)
    ask(questions[1], scans)
    assert asked.call_count == 1


def test_what_looks_like_a_template_is_not_rendered(asked, write, lake, registry):
    config = write("Which {{ 1 / 0 }} is this?")
    land(config, lake)
    ask(choose()[0], config)
    assert asked.call_args.kwargs["subject"] == "Which {{ 1 / 0 }} is this? (1 of 10)"


# Collect


def test_answers_are_recorded_with_who_gave_them_and_what_they_are_worth(
    questions, recorded, answers, scans, lake
):
    recorded.answer(0)
    recorded.answer(1, option="Skip")
    recorded.answer(2, who=None, option="Skip")
    recorded.ask(3)  # marked as successful by hand: its state says success
    for index in range(4, 10):
        recorded.answer(index, who="ben")
    done = collect(questions)
    assert is_small_json(done)
    assert answers.call_args.args[1:] == ("weather_regimes__test", "manual__1", "ask")
    assert done["verdicts"] == {"counts": 7, "skipped": 1, "nobody": 2}
    assert done["closed"] is True
    rows = {row["_item"]: row for row in read_answers(scans, DAY, lake).to_pylist()}
    first, timed_out = (rows[questions[index]["item"]] for index in (0, 2))
    assert (first["_annotator"], first["label"], first["_via"]) == (
        "ann", truth(recorded.scans[0]), "airflow",
    )  # fmt: skip
    assert first["_external"] == "manual__1/0/1"
    assert (timed_out["_annotator"], timed_out["label"], timed_out["_answer"]) == (
        None, None, "Skip",
    )  # fmt: skip


def test_a_default_that_airflow_wrote_is_never_a_label(questions, recorded, scans, lake):
    """Also where the default were a class: only a name counts."""
    for index in range(10):
        recorded.answer(index, who=None, option="bill")
    assert collect(questions)["verdicts"] == {"nobody": 10}
    with pytest.raises(AirflowSkipException, match="bring no new one"):
        publish()
    assert lake.table(NAME, "labels").partitions() == []


def test_collecting_again_records_nothing_twice(questions, recorded, scans, lake):
    for index in range(9):
        recorded.answer(index)
    first = collect(questions)
    again = collect(questions, attempt=2)
    assert (first["new"], again["new"]) == (10, 0)
    assert again["verdicts"] == first["verdicts"] == {"counts": 9, "nobody": 1}
    assert read_answers(scans, DAY, lake).num_rows == 10


def test_an_answer_to_a_question_that_was_cleared_is_kept_and_the_newer_one_counts(
    questions, recorded, scans, lake
):
    recorded.answer(0, option="form", number=1)
    for index in range(1, 10):
        recorded.answer(index)
    collect(questions)
    recorded.answer(0, option="bill", number=2)
    done = collect(questions, attempt=2)
    assert (done["new"], done["verdicts"]) == (1, {"counts": 10, "repeated": 1})
    told = {row["_external"]: row for row in read_answers(scans, DAY, lake).to_pylist()}
    assert (told["manual__1/0/1"]["_verdict"], told["manual__1/0/2"]["label"]) == ("repeated", 1)


def test_an_item_that_nobody_answered_and_is_asked_again_gets_its_label(
    questions, recorded, scans, lake
):
    recorded.answer(0, who=None, option="Skip")
    collect(questions)
    recorded.answer(0, option="bill", number=2)
    assert collect(questions, attempt=2)["verdicts"] == {"nobody": 10, "counts": 1}
    done, _ = publish()
    assert done["labelled"] == 1


def test_an_answer_counts_where_the_clock_of_the_api_server_runs_ahead(
    questions, recorded, scans, lake
):
    recorded.answer(0)
    recorded.found[0]["responded_at"] = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    assert collect(questions)["verdicts"] == {"counts": 1, "nobody": 9}


def test_an_answer_that_cannot_be_read_is_read_again_later(questions, answers, scans, lake):
    answers.side_effect = ServiceUnavailable("Airflow is away")
    with pytest.raises(ServiceUnavailable):
        collect(questions)
    assert read_answers(scans, DAY, lake).num_rows == 0


# Publish


@pytest.fixture
def answered(questions, recorded):
    for index in range(8):
        recorded.answer(index)
    collect(questions)
    return recorded


def test_what_people_said_becomes_labels_and_one_event(answered, lake):
    done, context = publish()
    assert is_small_json(done)
    assert (done["labelled"], done["changed"]) == (8, True)
    keys, extra = emitted(context, LABELS)
    assert keys == {DAY}
    assert extra == {"partition": DAY, "rows": 8, "version": done["version"]}
    labels = lake.table(NAME, "labels").read([DAY], None).to_pylist()
    assert {row["scan"]: row["label"] for row in labels} == {
        scan: truth(scan) for scan in answered.scans[:8]
    }


def test_publishing_the_same_again_emits_nothing(answered):
    publish()
    with pytest.raises(AirflowSkipException, match="bring no new one"):
        publish(run=2)
    with pytest.raises(AirflowSkipException, match="bring no new one"):
        publish(attempt=2, clear_number=1)


def test_a_retry_of_an_attempt_that_died_after_publishing_emits_the_event(answered):
    publish()
    _, context = publish(attempt=2)
    assert emitted(context, LABELS)[0] == {DAY}


def test_a_second_round_has_other_items_and_one_more_event(answered, lake, scans, answers):
    publish()
    questions = choose(run=2)
    assert {one["round"] for one in questions} == {2}
    again = Recorded(questions, lake, scans)
    assert len(set(again.scans) & set(answered.scans[:8])) == 0, "labelled rows are not asked about"
    answers.return_value = again.found
    for index in range(10):
        again.answer(index)
    collect(questions, run=2)
    done, context = publish(run=2)
    assert done["labelled"] == 18
    assert emitted(context, LABELS)[0] == {DAY}


def test_a_class_that_is_no_option_any_more_is_recorded_and_is_no_label(
    questions, recorded, write, lake
):
    for index in range(10):
        recorded.answer(index)
    recorded.found[0]["chosen_options"] = ["poster"]
    done = collect(questions)
    assert done["verdicts"] == {"counts": 9, "unknown class": 1, "nobody": 1}
