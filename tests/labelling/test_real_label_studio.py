"""The client, the tasks of a round and the interface, against the real Label Studio.

`tests/support/label_studio.py` stands in for it in the other tests; what it is taken for is held
against the real one here.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.annotate.choosing import choose_round
from include.annotate.guesses import Guesses
from include.annotate.publish import publish_people
from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.labelling.answers import read_answers
from include.labelling.asking import item_id
from include.labelling.boxes import read_boxes
from include.labelling.interface import round_key
from include.labelling.rounds import round_ids
from include.lake.table import Writer
from plugins.hooks import label_studio as module
from plugins.hooks.label_studio import LabelStudioHook
from plugins.hooks.lake import LakeHook
from plugins.operators.label_studio import CollectAnnotationsOperator, SendItemsOperator
from plugins.triggers.annotations import AnnotationsTrigger
from scripts.labelling.labelling import Labelling
from scripts.stack import processes, secret_files
from scripts.stack.settings import HOST
from tests.include.annotate.conftest import make  # noqa: F401 - a fixture
from tests.include.labelling.test_annotations import UNREADABLE
from tests.support.scans import DAY, land
from tests.support.tasks import execute, make_context

pytestmark = pytest.mark.labelling

SHOTS = os.environ.get("SCREENSHOTS")
"""Where screenshots go, if anywhere: those of docs/labelling.md are made so."""
CARD = '<View><HyperText name="card" value="$card"/><Image name="picture" value="$picture"/></View>'
PICTURES = """\
import struct
import zlib

import numpy as np


def drawn(row):
    grey = np.full((240, 400), 255, np.uint8)
    for line in range(5):
        grey[30 + 22 * line : 35 + 22 * line, 30:260] = 160
    grey[160:220, 270:370] = 90
    grey[164:216, 274:366] = 255
    lines = b"".join(b"\\0" + line.tobytes() for line in grey)
    head = struct.pack(">IIBBBBB", 400, 240, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
"""
"""A page of grey lines with a stamp: from 270, 160 on, 100 pixels wide and 60 high."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labelling: Labelling) -> None:
    """Give each test a lake of its own. Label Studio, which runs already, keeps its home."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_CODE_VERSION", "test")
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION", "test")


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png")


def task(kind: Any, number: int) -> Any:
    return kind(task_id="it", use_case="scans", number=number, conn_id="labels", partition=DAY)


def run(kind: Any, number: int) -> dict[str, Any]:
    return execute(task(kind, number), make_context(key=DAY))


def first_round(use_case: Any, lake: Any) -> str:
    return round_key(DAY, 1, round_ids(use_case, DAY, lake)[1])


def annotate(hook: LabelStudioHook, task_id: int, *classes: str, **more: Any) -> None:
    result = [
        {"from_name": "label", "to_name": "card", "type": "choices", "value": {"choices": [one]}}
        for one in classes
    ]
    hook.ask("POST", f"api/tasks/{task_id}/annotations/", json={"result": result, **more})


def test_it_listens_on_loopback_alone_and_keeps_its_secrets(labelling, settings):
    listening = {
        connection.laddr.ip
        for process in processes.of_home(labelling.place.home)
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {HOST}
    text = "".join(file.read_text() for file in labelling.place.logs.iterdir())
    assert text
    for name in ("label_studio_token", "label_studio_password"):
        secret = secret_files.read(settings, name)
        assert secret not in text
        words = [each.cmdline() for each in processes.of_home(labelling.place.home)]
        assert secret not in str(words), "other users of this machine read command lines"
    strangers = httpx.get(f"{labelling.place.url}/user/signup/", follow_redirects=True)
    form = {"email": "eve@example.com", "password": "long enough 12"}
    with httpx.Client(base_url=labelling.place.url) as client:
        client.get("/user/signup/")
        form["csrfmiddlewaretoken"] = client.cookies.get("csrftoken", "")
        answer = client.post("/user/signup/", data=form)
    assert (strangers.status_code, answer.status_code) == (200, 403)


def test_it_is_what_the_small_server_takes_it_for(hook, connection, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 4)
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    project = hook.ensure_project("Flywheel: contract", CARD, 1)
    assert hook.ensure_project("Flywheel: contract", CARD, 1) == project
    theirs = hook.ask("POST", "api/projects/", json={"title": "Flywheel: theirs"})
    with pytest.raises(ConfigError, match=f"somebody else has made the project {theirs['id']}"):
        hook.ensure_project("Flywheel: theirs", CARD, 1)
    assert hook.ensure_project("Flywheel: theirs, too", CARD, 1) > theirs["id"]
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
        "0000000a49444154789c63680000008200817736b4a20000000049454e44ae426082"
    )
    addresses = hook.upload({f"p{number}": "x" for number in range(4)}, lambda path: png)
    assert len(set(addresses.values())) == 4
    for name, address in addresses.items():
        assert address.endswith(f"-{name}.png")
        assert hook._send("GET", address).content == png
        assert httpx.get(f"{hook.url}{address}").status_code == 401, "not without a login"
    sent = [
        {"data": {"item": f"{number}", "round": key, "card": "x", "picture": addresses["p0"]}}
        for key in ("2024-05/1", "2024-05/11")
        for number in range(10)
    ]
    hook.send(project, sent)

    ids = {each["data"]["item"]: each["id"] for each in hook.tasks(project, "2024-05/1")}
    assert list(ids) == [str(number) for number in range(10)]
    assert hook.progress(project, "2024-05/1", 1) == (10, False)
    for number in range(8):
        annotate(hook, ids[str(number)], "made up")  # it checks no class
    annotate(hook, ids["8"], was_cancelled=True)
    assert hook.progress(project, "2024-05/1", 1) == (10, False)
    assert hook.discard_unanswered(ids["8"]) is False
    assert hook.discard_unanswered(ids["9"]) is True
    assert hook.discard_unanswered(ids["9"]) is False
    assert hook.progress(project, "2024-05/1", 1) == (9, True)
    with pytest.raises(ConfigError, match="answers 400"):
        hook.ensure_project("x", CARD, 1)
    with pytest.raises(DataContractError, match="Clear the task `send_items`"):
        list(hook.tasks(project + 1000, "2024-05/1"))
    monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection | {"password": "0" * 40}))
    with pytest.raises(ConfigError, match="'labels' \\(HTTP 401\\)"):
        LabelStudioHook("labels").annotators()


def test_a_personal_token_is_exchanged(page, hook, connection, monkeypatch):
    made = page.evaluate(
        """async () => {
          const csrf = document.cookie.match(/csrftoken=([^;]+)/)?.[1] ?? '';
          const headers = {'Content-Type': 'application/json', 'X-CSRFToken': csrf};
          await fetch('/api/jwt/settings', {method: 'POST', headers,
            body: JSON.stringify({api_tokens_enabled: true, legacy_api_tokens_enabled: true})});
          return await (await fetch('/api/token/', {method: 'POST', headers, body: '{}'})).json();
        }"""
    )
    monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection | {"password": made["token"]}))
    personal = LabelStudioHook("labels")
    assert personal.annotators() == hook.annotators()
    personal._authorization = "Bearer long.since.ended"
    assert personal.annotators() == hook.annotators()


def test_a_round_is_answered_in_its_pages(page, hook, make, labelling, settings):  # noqa: F811
    people = {"ask": "label_studio", "connection": "labels", "items": 5, "boxes": ["stamp"]}
    people |= {"picture": {"python": "drawn"}}
    folder = Path(os.environ["FLYWHEEL_USE_CASES"]) / "scans"
    (folder / "labels.py").write_text(PICTURES)
    use_case = make(people)
    lake = LakeHook().lake
    land(use_case, lake)
    rows = {item_id({"scan": number}): number for number in range(100)}
    guesses = Guesses("1", rows, np.tile([0.2, 0.3, 0.5], (100, 1)))  # the champion says "form"
    chosen = choose_round(use_case, DAY, lake, Writer("run 1", 1, 1, "test"), guesses)
    sent = run(SendItemsOperator, 1)
    assert (sent["sent"], run(SendItemsOperator, 1)["sent"]) == (5, 0)

    page.goto(sent["page"])
    page.get_by_role("button", name="Label All Tasks").wait_for()
    page.get_by_text(sorted(one.item for one in chosen.items)[0]).wait_for()
    page.wait_for_timeout(1000)
    shot(page, "label-studio-tasks")
    page.get_by_role("button", name="Label All Tasks").click()
    _draw_a_box(page)
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    shot(page, "label-studio-box")
    then(page, "Submit")
    page.keyboard.press("2")
    page.wait_for_timeout(300)
    then(page, "Submit")
    then(page, "Skip")
    then(page, "Submit")  # as the champion says: its answer is chosen already
    project, key = hook.existing_project("Flywheel: scans"), first_round(use_case, lake)
    assert hook.progress(project, key, 1) == (5, False)
    ids = [each["id"] for each in hook.tasks(project, key)]
    annotate(hook, ids[4], "poem")  # not by its pages, which offer no such class

    closes_at = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    trigger = AnnotationsTrigger("labels", "Flywheel: scans", key, 1, closes_at, 0.1)
    assert _event_of(trigger) == {"why": "answered", "told": ""}
    done = run(CollectAnnotationsOperator, 1)

    rows = read_answers(use_case, DAY, lake).to_pylist()
    items = sorted(one.item for one in chosen.items)
    told = {row["_item"]: row for row in rows if row["_verdict"] != "nobody"}
    assert [(told[item]["_answer"], told[item]["_verdict"]) for item in items] == [
        ("letter", "counts"), ("bill", "counts"), ("Skip", "skipped"), ("form", "counts"),
        ("poem", "unknown class"),
    ]  # fmt: skip
    assert {row["_annotator"] for row in told.values()} == {secret_files.LABEL_STUDIO_USER}
    assert done["verdicts"]["counts"] == 3
    (box,) = read_boxes(use_case, DAY, lake).to_pylist()
    assert (box["_item"], box["_name"]) == (items[0], "stamp")
    assert (box["_image_width"], box["_image_height"]) == (400, 240)
    sides = [box[f"_{side}"] for side in ("x", "y", "width", "height")]
    assert sides == pytest.approx([270, 160, 100, 60], abs=2), "pixels of the picture"
    published = publish_people(use_case, DAY, lake, Writer("run 1", 1, 2, "test"))
    assert published.labelled == 3
    labels = {one.item: one.key["scan"] for one in chosen.items}
    held = {
        row["scan"]: row["label"] for row in lake.table("scans", "labels").read([DAY]).to_pylist()
    }
    assert held == {labels[items[0]]: 0, labels[items[1]]: 1, labels[items[3]]: 2}


def test_another_annotator_comes_by_the_link_of_an_invitation(page, hook, make, labelling):  # noqa: F811
    use_case = make({"ask": "label_studio", "connection": "labels", "items": 2, "annotators": 2})
    lake = LakeHook().lake
    land(use_case, lake)
    choose_round(use_case, DAY, lake, Writer("run 1", 1, 1, "test"))
    run(SendItemsOperator, 1)
    project = hook.existing_project("Flywheel: scans")
    key = first_round(use_case, lake)
    ids = [each["id"] for each in hook.tasks(project, key)]
    for number in ids:
        annotate(hook, number, "letter")
    assert hook.progress(project, key, 2) == (2, False)

    invited = hook.ask("GET", "api/invite")["invite_url"]
    page.context.clear_cookies()
    page.goto(f"{labelling.place.url}{invited}")
    page.fill("input[name=email]", "bob@example.com")
    page.fill("input[name=password]", "a password of bob")
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/user/" not in url)
    page.goto(f"{labelling.place.url}/projects/{project}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    page.get_by_role("button", name="Submit").first.wait_for()
    page.wait_for_timeout(1500)  # its keys work when it is laid out
    for key_of in ("3", "2"):
        page.keyboard.press(key_of)
        page.wait_for_timeout(300)
        then(page, "Submit")
    assert hook.progress(project, key, 2) == (2, True)
    run(CollectAnnotationsOperator, 1)

    rows = read_answers(use_case, DAY, lake).to_pylist()
    assert sorted((row["_annotator"], row["_answer"], row["_verdict"]) for row in rows) == [
        ("bob@example.com", "bill", "counts"), ("bob@example.com", "form", "counts"),
        (secret_files.LABEL_STUDIO_USER, "letter", "counts"),
        (secret_files.LABEL_STUDIO_USER, "letter", "counts"),
    ]  # fmt: skip


def test_an_empty_database_is_told_and_the_round_is_sent_again(hook, make, labelling):  # noqa: F811
    use_case = make({"ask": "label_studio", "connection": "labels", "items": 3})
    lake = LakeHook().lake
    land(use_case, lake)
    choose_round(use_case, DAY, lake, Writer("run 1", 1, 1, "test"))
    run(SendItemsOperator, 1)
    labelling.down()
    shutil.rmtree(labelling.place.data)
    labelling.up()

    with pytest.raises(AirflowFailException, match="started with an empty database"):
        run(CollectAnnotationsOperator, 1)
    assert run(SendItemsOperator, 1)["sent"] == 3
    project = hook.existing_project("Flywheel: scans")
    for each in list(hook.tasks(project, first_round(use_case, lake))):
        annotate(hook, each["id"], "form")
    assert run(CollectAnnotationsOperator, 1)["verdicts"] == {"counts": 3}


def test_it_stores_annotations_of_any_shape_and_none_holds_up_its_round(hook, make):  # noqa: F811
    use_case = make({"ask": "label_studio", "connection": "labels", "items": 3})
    lake = LakeHook().lake
    land(use_case, lake)
    choose_round(use_case, DAY, lake, Writer("run 1", 1, 1, "test"))
    run(SendItemsOperator, 1)
    project = hook.existing_project("Flywheel: scans")
    ids = [each["id"] for each in hook.tasks(project, first_round(use_case, lake))]
    for results, _ in UNREADABLE:
        # It refuses some of these, not all with words: what it has stored is what matters.
        with suppress(ConfigError, ServiceUnavailable):
            hook.ask("POST", f"api/tasks/{ids[0]}/annotations/", json={"result": results})
    stored = len(hook.ask("GET", f"api/tasks/{ids[0]}/")["annotations"])
    assert stored > 0
    for number in ids:
        annotate(hook, number, "bill")
    verdicts = run(CollectAnnotationsOperator, 1)["verdicts"]
    assert verdicts.pop("counts") == 3
    assert verdicts == {"unknown class": stored}


def _event_of(trigger: AnnotationsTrigger) -> dict[str, str]:
    async def first() -> dict[str, str]:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("it ended without an event")

    with ThreadPoolExecutor(1) as other:  # in this thread the browser's driver has a loop
        return other.submit(asyncio.run, first()).result()


def _draw_a_box(page: Any) -> None:
    """Draw along the stamp of the picture, which has 400 times 240 pixels."""
    page.locator("canvas").first.wait_for()
    page.wait_for_timeout(1500)  # the picture is laid out anew when it has come
    page.get_by_text("stamp", exact=True).first.click()
    seen = page.locator("canvas").first.bounding_box()
    left, top = (seen["x"], seen["y"])
    across, down = seen["width"] / 400, seen["height"] / 240
    page.mouse.move(left + 270 * across, top + 160 * down)
    page.mouse.down()
    page.mouse.move(left + 370 * across, top + 220 * down, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)


def then(page: Any, button: str) -> None:
    """Press a button, and wait until Label Studio has taken the answer."""
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.ok):
        page.get_by_role("button", name=button).first.click()
    page.wait_for_timeout(1500)  # the next task is laid out
