"""A round of `digits` on a real stack, answered in Label Studio's pages by a browser."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from include.labelling.answers import read_answers
from include.labelling.interface import round_key
from include.labelling.rounds import read_round, round_ids
from include.use_cases.loader import load
from scripts.land_examples import mostly_unlabelled_digits
from scripts.stack import secret_files
from tests.labelling.test_real_label_studio import shot, then
from tests.support.labelled_digits import DAY, NAME, land, truth, write_use_case
from tests.support.stacks import house_of

pytestmark = pytest.mark.labelling

ITEMS = 5


@pytest.fixture
def house(tmp_path, labelling, settings):
    people = {"ask": "label_studio", "connection": "label_studio", "items": ITEMS}
    write_use_case(tmp_path / "use_cases", **people)
    # As if `make labelling-up` had been called in this home: its secrets are the stack's.
    secrets = tmp_path / "home" / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    shutil.copy(settings.secrets / "label_studio_token", secrets)
    with house_of(tmp_path, NAME, labelling_port=labelling.place.port) as found:
        yield found


def test_a_round_is_sent_waited_for_by_the_triggerer_and_published(house, hook, page):
    land(house.landing, mostly_unlabelled_digits())
    (run, *_) = house.until(lambda: house.runs("annotate", DAY), "people are asked", 300)
    house.until(
        lambda: run.tasks.get("wait_for_annotations") == "deferred", "the wait is deferred", 300
    )
    project, known = hook.existing_project("Flywheel: digits"), truth()
    use_case = load(house.use_cases / NAME)
    key = round_key(DAY, 1, round_ids(use_case, DAY, house.lake)[1])
    assert hook.progress(project, key, 1) == (ITEMS, False)
    page.goto(f"{hook.url}/projects/{project}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    asked = read_round(use_case, DAY, 1, house.lake)
    # Tasks come in the order in which they were sent: that of the ids of their items.
    images = [one.key["image"] for one in sorted(asked.items, key=lambda one: one.item)]
    for image in images:
        page.get_by_role("button", name="Submit").first.wait_for()
        page.wait_for_timeout(2000)  # its keys work when it is laid out
        page.keyboard.press(known[image])  # as somebody who knows the digits
        page.wait_for_timeout(500)
        if image == images[1]:
            shot(page, "label-studio-digits")
        then(page, "Submit")
    ended = house.ended("annotate", run.run_id)

    assert ended.state == "success", ended.tasks
    rows = read_answers(use_case, DAY, house.lake).to_pylist()
    assert {row["image"]: str(row["label"]) for row in rows} == {
        image: known[image] for image in images
    }
    assert len(rows) == ITEMS
    assert {row["_verdict"] for row in rows} == {"counts"}
    assert {row["_annotator"] for row in rows} == {secret_files.LABEL_STUDIO_USER}
    assert all(row["_answered_at"] <= datetime.now(UTC) for row in rows)
    labels = house.table("labels").read([DAY]).to_pylist()
    assert {row["image"] for row in labels} >= {*images}
    token = secret_files.read(house.stack.settings, "label_studio_token")
    for task in ("send_items", "wait_for_annotations", "collect_answers"):
        assert token not in run.log(task)
