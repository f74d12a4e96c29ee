"""Flywheel's page in Airflow's own frame, in a browser, with each state that a wheel can be in.

The server is Airflow's; the answers of Flywheel's API are those of `tests.support.page_facts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.airflow_server import airflow_server
from tests.support.browser import browser_page, log_in, serious_findings
from tests.support.page_facts import judged, partition, seen, without_lake

pytestmark = [pytest.mark.browser, pytest.mark.end_to_end]

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
NO_MLFLOW = (503, {"detail": "MLflow at http://127.0.0.1:5000 does not answer."})
STEPS = {"steps": [], "models": [], "scored_by": []}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, str]]:
    with (
        airflow_server(tmp_path_factory.mktemp("airflow")) as server,
        browser_page() as page,
    ):
        log_in(page, server.url, "admin", server.password("admin"))
        yield page, f"{server.url}/plugin/flywheel"


def show(site: tuple[Page, str], use_cases: object, query: str = "", **more: Any) -> Page:
    """Open the page where the API answers so; `more` replaces an answer by the path's last word."""
    page, url = site
    answers = {
        "use-cases": (200, use_cases),
        "verdicts": (200, [judged(number) for number in (3, 2, 1)]),
        "addresses": (200, {"mlflow": "http://127.0.0.1:5000"}),
        "partitions": (200, [partition(number) for number in range(24)]),
        "lineage": NO_MLFLOW,
        **more,
    }

    def answer(route: Route) -> None:
        last = route.request.url.partition("?")[0].rpartition("/")[2]
        status, said = answers[last]
        route.fulfill(status=status, json=said)

    page.unroute_all()
    page.route("**/flywheel/api/**", answer)
    page.goto(url + query)
    page.locator("main[data-flywheel]").wait_for()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", "?use_case=flights"])
def test_axe_finds_nothing_serious(site, scheme, query) -> None:
    page = site[0]
    page.emulate_media(color_scheme=scheme)
    show(site, [seen(), without_lake(), seen("new", partitions=0)], query)
    expect(page.locator("html")).to_have_class(re.compile(scheme))
    expect(page.get_by_text("Version 2" if query else "version 2")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert serious_findings(page) == []


def test_axe_would_find_a_barrier(site) -> None:
    page = show(site, [seen()])
    expect(page.get_by_role("article")).to_be_visible()
    page.evaluate("""document.querySelector('main[data-flywheel]').insertAdjacentHTML(
        'beforeend', '<button></button>')""")
    assert [one for one in serious_findings(page) if one.startswith("button-name")]


@pytest.mark.parametrize("query", ["", "?use_case=flights"])
def test_a_phone_scrolls_down_only(site, query) -> None:
    page = site[0]
    page.set_viewport_size(PHONE)
    try:
        show(site, [seen(), without_lake()], query)
        expect(page.get_by_text("Version 2" if query else "version 2")).to_be_visible()
        sideways = "(one) => one.scrollWidth - one.clientWidth"
        assert page.locator("html").evaluate(sideways) == 0
        assert page.locator("main[data-flywheel]").evaluate(sideways) == 0
    finally:
        page.set_viewport_size(DESK)


def test_each_state_is_told(site) -> None:
    page = show(site, [])
    expect(page.get_by_text("There is no use case whose Dags you may read.")).to_be_visible()
    show(site, [seen("new", partitions=0), without_lake()])
    new, weather = page.get_by_role("article").all()
    expect(new).to_contain_text("none landed yet")
    expect(weather.get_by_role("alert")).to_have_text("The lake s3://lake does not answer.")
    expect(weather.get_by_role("link", name="drift monitor")).to_be_visible()


def test_the_rest_stays_while_mlflow_is_away(site) -> None:
    page = show(site, [seen()], "?use_case=flights")
    lineage = page.get_by_role("alert").filter(has_text="MLflow at")
    expect(lineage).to_be_visible()
    models = page.get_by_role("region", name="Models that were judged")
    expect(models.get_by_role("row")).to_have_count(1 + 3)
    expect(models.get_by_role("row").filter(has_text="Worse than")).to_contain_text("rejected")


def test_fifty_use_cases_are_found_by_name(site) -> None:
    page = show(site, [seen(f"use_case_{number:02}") for number in range(50)])
    expect(page.get_by_role("article")).to_have_count(50)
    page.get_by_role("searchbox", name="Find a use case").fill("case 07")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_text("1 of 50")).to_be_visible()


def test_older_partitions_come_on_demand(site) -> None:
    page = show(site, [seen(partitions=48)], "?use_case=flights")
    rows = page.get_by_role("region", name="Partitions").get_by_role("row")
    expect(rows).to_have_count(1 + 24)
    page.get_by_role("button", name="Older partitions").press("Enter")
    expect(rows).to_have_count(1 + 48)
