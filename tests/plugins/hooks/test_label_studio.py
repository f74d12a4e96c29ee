"""The client of Label Studio against a small server that answers as Label Studio does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from plugins.hooks import label_studio as module
from plugins.hooks.label_studio import LabelStudioHook
from tests.support.label_studio import PERSONAL, TOKEN, LabelStudio, label_studio

TITLE, ROUND = "Flywheel: digits", "2024-05/1"


@pytest.fixture
def studio() -> Iterator[LabelStudio]:
    with label_studio() as found:
        yield found


@pytest.fixture
def connect(studio, monkeypatch):
    def to(password: str, **more: object) -> LabelStudioHook:
        connection = {"conn_type": "http", "host": studio.url, "password": password, **more}
        monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection))
        return LabelStudioHook("labels")

    return to


@pytest.fixture
def hook(connect) -> LabelStudioHook:
    return connect(TOKEN)


def tasks_of(*items: str, round_key: str = ROUND) -> list[dict]:
    return [{"data": {"item": item, "round": round_key}} for item in items]


def test_a_project_is_made_once_and_follows_the_use_case(hook, studio):
    for title in ("Flywheel: digits, old", "old Flywheel: digits", "Flywheel: digits 2"):
        studio.answer("POST", "/api/projects/", {}, {"title": title})

    made = hook.ensure_project(TITLE, "<View/>", 1)

    assert made == 4, "a title that only contains the wanted one is another project's"
    assert hook.ensure_project(TITLE, "<View/>", 1) == made
    assert [each for each in studio.asked if each[0] != "GET"] == [("POST", "/api/projects/")]
    assert hook.ensure_project(TITLE, "<View></View>", 2) == made
    assert hook.existing_project(TITLE) == made
    assert studio.projects[made] == {
        "id": made, "title": TITLE, "label_config": "<View></View>", "maximum_annotations": 2,
        "description": module.MARK,
    }  # fmt: skip


def test_a_project_that_somebody_else_has_made_is_left_alone(hook, studio):
    theirs = {"title": TITLE, "label_config": "<View><Own/></View>", "maximum_annotations": 7}
    studio.answer("POST", "/api/projects/", {}, theirs)

    for reach in (lambda: hook.ensure_project(TITLE, "<View/>", 1),
                  lambda: hook.existing_project(TITLE)):  # fmt: skip
        with pytest.raises(ConfigError, match=r"somebody else has made the project 1, .*Rename it"):
            reach()
    assert studio.projects == {1: {"id": 1, **theirs}}
    studio.projects[1]["title"] = "Theirs"
    assert hook.ensure_project(TITLE, "<View/>", 1) == 2
    studio.projects[1]["title"] = TITLE
    assert hook.ensure_project(TITLE, "<View/>", 1) == hook.existing_project(TITLE) == 2
    assert studio.projects[1] == {"id": 1, **theirs}


def test_two_that_make_a_project_at_once_end_with_one(hook, studio):
    usual = studio.answer

    def another_was_first(method, path, asked, body):
        if method == "POST":
            studio.answer = usual
            usual(method, path, asked, body)
        return usual(method, path, asked, body)

    studio.answer = another_was_first
    assert hook.ensure_project(TITLE, "<View/>", 1) == 1
    assert list(studio.projects) == [1]


def test_all_tasks_of_the_round_are_read_in_pages_whatever_happens_meanwhile(
    hook, studio, monkeypatch
):
    monkeypatch.setattr(module, "PAGE", 10)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    project = hook.ensure_project(TITLE, "<View/>", 1)
    names = [f"i{number}" for number in range(25)]
    assert hook.send(project, tasks_of(*names)) == 25
    hook.send(project, tasks_of("other", round_key="2024-05/11"))

    read = []
    for task in hook.tasks(project, ROUND):
        read.append(task["data"]["item"])
        if len(read) == 5:  # on the page that is being read, and on the next
            del studio.held[1], studio.held[12]
            hook.send(project, tasks_of("new"))

    assert read == [*names[:11], *names[12:], "new"]


def test_pictures_go_up_as_files_and_each_keeps_its_name(hook, studio, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    hook.ensure_project(TITLE, '<View><A value="$card"/><B value="$picture"/></View>', 1)

    read: list[str] = []
    found = hook.upload({"a": "1", "b-a": "2", "c": "3"}, lambda path: read.append(path) or b"x")

    assert {name: path.rpartition("-")[2] for name, path in found.items()} == {
        "a": "a.png", "b-a": "a.png", "c": "c.png"
    }  # fmt: skip
    assert found["b-a"] == "/data/upload/2/00000002-b-a.png"
    assert read == ["1", "2", "3"]
    assert hook.upload({}, read.append) == {}


def test_a_picture_that_comes_back_as_another_stops_the_round(hook, studio):
    def mixed(method, path, asked, body):
        status, said = LabelStudio.answer(studio, method, path, asked, body)
        return status, (
            [{**each, "file": "upload/1/x-other.png"} for each in said]
            if path.endswith("uploads")
            else said
        )

    studio.answer = mixed
    with pytest.raises(ServiceUnavailable, match=r"other\.png' where a\.png was sent"):
        hook.upload({"a": "1"}, str.encode)


@pytest.mark.parametrize(
    ("annotators", "given", "expected"),
    [
        (1, {1: [("Yes", {})], 2: [("No", {})]}, (3, False)),
        (1, {n: [("Yes", {})] for n in (1, 2, 3)}, (3, True)),
        (1, {1: [("Yes", {})], 2: [("", {"was_cancelled": True})], 3: [("No", {})]}, (3, True)),
        (2, {n: [("Yes", {})] for n in (1, 2, 3)}, (3, False)),
        (2, {n: [("Yes", {}), ("", {"was_cancelled": True})] for n in (1, 2, 3)}, (3, True)),
        (2, {n: [("Yes", {})] * 2 for n in (1, 2)} | {3: [("", {"was_cancelled": True})]},
         (3, False)),
    ],
)  # fmt: skip
def test_a_round_is_answered_when_each_task_is(hook, studio, annotators, given, expected):
    project = hook.ensure_project(TITLE, "<View/>", annotators)
    hook.send(project, tasks_of("a", "b", "c"))
    hook.send(project, tasks_of("z", round_key="2024-05/2"))
    for number, several in given.items():
        for name, more in several:
            studio.annotate(number, *([name] if name else []), **more)

    assert hook.progress(project, ROUND, annotators) == expected


def test_a_task_with_an_answer_or_a_draft_is_never_deleted(hook, studio):
    project = hook.ensure_project(TITLE, "<View/>", 1)
    hook.send(project, tasks_of("a", "b", "c"))
    studio.annotate(1, "Yes")
    studio.held[2]["drafts"] = [{"id": 1}]

    assert [hook.discard_unanswered(number) for number in (1, 2, 3, 3)] == [
        False, False, True, False
    ]  # fmt: skip
    assert sorted(studio.held) == [1, 2]


def test_a_personal_token_is_exchanged_and_again_when_the_short_one_has_ended(connect, studio):
    studio.ends_after = 3
    hook = connect(PERSONAL)

    assert [hook.annotators() for _ in range(8)] == [{1: "ann@x"}] * 8
    assert studio.short == 3


def test_users_come_in_pages_and_one_without_an_address_has_no_name(hook, studio):
    usual = studio.answer
    pages = {"1": [{"id": 1, "email": "ann@x"}, {"id": 2}], "2": [{"id": 3, "email": "bob@x"}]}

    def paged(method, path, asked, body):
        if path != "/api/users/":
            return usual(method, path, asked, body)
        return 200, {"results": pages[asked["page"]], "next": asked["page"] == "1" and "more"}

    studio.answer = paged
    assert hook.annotators() == {1: "ann@x", 3: "bob@x"}


@pytest.mark.parametrize("users", ["x", {"detail": "odd"}, {"results": None}])
def test_what_is_no_list_of_users_is_told(hook, studio, users):
    studio.users = users
    with pytest.raises(ServiceUnavailable, match="api/users/ answers no list of users"):
        hook.annotators()


@pytest.mark.parametrize("password", ["wrong", "a.wrong.one"])
def test_a_token_that_is_refused_names_the_connection_and_is_not_told(connect, password):
    with pytest.raises(ConfigError, match="'labels' \\(HTTP 401\\)") as raised:
        connect(password).annotators()
    assert password not in str(raised.value)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 0, 1])
def test_a_label_studio_that_is_not_well_is_asked_again_later(hook, studio, status):
    studio.fail = [status]

    with pytest.raises(ServiceUnavailable, match="Label Studio at http"):
        hook.annotators()
    assert hook.annotators() == {1: "ann@x"}


def test_one_that_hangs_is_given_up_after_the_time_of_the_connection(connect, studio):
    studio.hang_s = 1
    hook = connect(TOKEN, extra=json.dumps({"timeout": 0.1}))

    with pytest.raises(ServiceUnavailable, match=r"ReadTimeout.*'labels'"):
        hook.annotators()


def test_one_that_is_down_says_how_to_start_it(studio, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LABELS", "http://:x@127.0.0.1:9")
    with pytest.raises(ServiceUnavailable, match="make labelling-up"):
        LabelStudioHook("labels").annotators()


def test_an_empty_database_is_told_with_what_to_do(hook, studio):
    project = hook.ensure_project(TITLE, "<View/>", 1)
    hook.send(project, tasks_of("a"))
    studio.restart_empty()

    told = "started with an empty database.*Clear the task `send_items`"
    with pytest.raises(DataContractError, match=f"no project 'Flywheel: digits'.*{told}"):
        hook.existing_project(TITLE)
    with pytest.raises(DataContractError, match=told):
        list(hook.tasks(project, ROUND))


def test_what_label_studio_refuses_is_not_sent_again(hook):
    with pytest.raises(ConfigError, match=r"answers 400: Validation error .*length.*Correct it"):
        hook.ensure_project("x", "<View/>", 1)
