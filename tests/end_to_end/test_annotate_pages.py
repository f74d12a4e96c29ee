"""A person labels digits in Airflow's pages: a headless browser, on a real stack.

With `SCREENSHOTS=<folder>` the pictures of docs/labelling.md are written there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from include.labelling.answers import read_answers
from include.use_cases.loader import get
from scripts.land_examples import digits
from tests.support import labelled_digits
from tests.support.browser import browser_page, log_in
from tests.support.labelled_digits import DAY, NAME
from tests.support.stacks import House, Run, house_of

pytestmark = [pytest.mark.end_to_end, pytest.mark.browser, pytest.mark.slow]

ROWS, UNLABELLED = 60, 5
NASTY = (
    "`x` [click](https://evil.example) ![a](https://evil.example/a.png) <img src=x onerror=x()> "
    "www.evil.example a@evil.example | **b** \\| {{ 1/0 }}"
)
"""The name of one image: whoever lands files chooses what people see."""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    labelled_digits.write_use_case(folder / "use_cases", items=UNLABELLED, within="1h")
    frame = digits().head(ROWS).astype({"digit": "Int64"})
    frame.loc[frame.index >= ROWS - UNLABELLED, "digit"] = None
    with house_of(folder, NAME) as house:
        labelled_digits.land(house.landing, frame, {frame["image"].iloc[-1]: NASTY})
        yield house


@pytest.fixture(scope="module")
def run(house) -> Run:
    """Return the run whose questions wait."""

    def waiting() -> Run | None:
        for run in house.runs("annotate"):
            assert run.state != "failed", {task: run.log(task)[-2000:] for task in run.tasks}
            if run.tasks.get("ask") == "awaiting_input":
                return run
        return None

    return house.until(waiting, "people are asked", 300)


@pytest.fixture(scope="module")
def truth():
    known = labelled_digits.truth()
    last = digits()["image"].iloc[ROWS - 1]
    return {**known, NASTY: known[last]}


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    folder = os.environ.get("SCREENSHOTS")
    return Path(folder) if folder else tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def page(house, run):
    """Log in as a person does."""
    login = house.stack.login()
    with browser_page(height=820) as page:
        log_in(page, house.stack.settings.airflow_url, login.user, login.password)
        yield page


def open_list(house: House, page: Page) -> None:
    """Open the list of what waits for somebody, *Browse*, *Required Actions*."""
    page.goto(f"{house.stack.settings.airflow_url}/required_actions?response_received=false")


def open_first(page: Page) -> str:
    """Open the first question of the list; return the name of its image when it is shown."""
    page.get_by_role("link", name="Which digit is this").first.click()
    picture = page.get_by_alt_text("picture")
    expect(picture).to_be_visible()
    page.wait_for_function("[...document.images].every(one => one.complete)")
    assert picture.evaluate("one => one.naturalWidth") == 168, "the picture did not load"
    return str(page.locator("li", has_text="image").locator("code").first.inner_text())


def choose(page: Page, option: str) -> None:
    page.get_by_role("combobox").last.fill(option)
    page.get_by_role("option", name=option, exact=True).click()


def test_the_list_has_every_question(house, page, shots):
    open_list(house, page)
    expect(page.get_by_text(f"{UNLABELLED} Required Actions")).to_be_visible()
    links = page.get_by_role("link", name="Which digit is this")
    expect(links).to_have_count(UNLABELLED)
    page.screenshot(path=shots / "required-actions.png", clip=_top(480))


def test_a_round_is_answered_in_the_pages(house, page, run, truth, shots):
    answered = {}
    for left in range(UNLABELLED, 0, -1):
        open_list(house, page)
        expect(page.get_by_role("link", name="Which digit is this")).to_have_count(left)
        image = open_first(page)
        if image == NASTY:
            does_nothing(page)
        choose(page, truth[image])
        if truth[image] == "6":
            page.screenshot(path=shots / "question.png")
        page.get_by_role("button", name="Respond").click()
        expect(page.get_by_role("button", name="Respond")).to_have_count(0)
        answered[image] = truth[image]
    assert house.ended("annotate", run.run_id, 240).state == "success", run.tasks
    assert answered.keys() == {*list(digits()["image"])[ROWS - UNLABELLED : ROWS - 1], NASTY}

    told = read_answers(get(NAME), DAY, house.lake).to_pylist()
    assert {row["image"]: row["_answer"] for row in told} == answered
    assert {(row["_annotator"], row["_verdict"]) for row in told} == {("admin", "counts")}
    labels = house.table("labels").read([DAY], None).to_pylist()
    given = {row["image"]: str(row["label"]) for row in labels if row["_chosen"] is not None}
    assert given == answered


def does_nothing(page: Page) -> None:
    """See that the name of an image is text in the page that Airflow made of it, and no more."""
    assert page.locator("code", has_text="click").inner_text() == NASTY
    assert page.locator("[href*=evil], [src*=evil], [onerror]").count() == 0
    assert page.get_by_alt_text("picture").count() == 1


def test_the_run_shows_what_became_of_the_round(house, page, run, shots):
    """The link of the task leads to the counts."""
    url = f"{house.stack.settings.airflow_url}/dags/{NAME}__annotate/runs/{run.run_id}"
    page.goto(f"{url}/tasks/collect_answers/details")
    link = page.get_by_role("link", name="Label counts")
    expect(link).to_be_visible()
    page.goto(str(link.get_attribute("href")))
    page.get_by_role("button", name="Expand all extra JSON").click()
    counts = re.compile(rf'"counts":\s{UNLABELLED}')
    expect(page.locator(".view-lines").filter(has_text=counts)).to_be_visible()
    page.screenshot(path=shots / "label-counts.png")


def test_the_report_on_labels_is_a_page(house, page, shots):
    def reported() -> Run | None:
        runs = house.runs("label")
        return next((one for one in runs if one.tasks.get("report_labels") == "success"), None)

    made = house.until(reported, "the labels are reported on", 240)
    url = f"{house.stack.settings.airflow_url}/dags/{NAME}__label/runs/{made.run_id}"
    page.goto(f"{url}/tasks/report_labels/details")
    page.goto(str(page.get_by_role("link", name="Labels report").get_attribute("href")))
    expect(page.get_by_role("heading", name=f"{NAME}: labels of {DAY}")).to_be_visible()
    for topic in ("Who gave the labels", "Classes over time"):
        expect(page.get_by_role("heading", name=topic)).to_be_visible()
    page.screenshot(path=shots / "labels-report.png", clip=_top(620))


def test_the_link_of_the_chosen_round_leads_to_its_questions(house, page, run):
    url = f"{house.stack.settings.airflow_url}/dags/{NAME}__annotate/runs/{run.run_id}"
    page.goto(f"{url}/tasks/choose_items/details")
    link = page.get_by_role("link", name="Questions")
    page.goto(str(link.get_attribute("href")))
    expect(page.get_by_text("Required Actions").first).to_be_visible()


def test_without_a_login_there_is_no_picture(house, page):
    made = next((Path(house.settings.lake_uri) / NAME / "pictures" / DAY).glob("*.png"))
    address = f"flywheel/{NAME}/pictures/{DAY}/{made.name}"
    url = f"{house.stack.settings.airflow_url}/{address}"
    somebody = page.context.browser.new_context().new_page()
    assert [one.goto(url).status for one in (page, somebody)] == [200, 401]


def _top(height: int) -> dict[str, float]:
    return {"x": 0, "y": 0, "width": 1280, "height": height}
