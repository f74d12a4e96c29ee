"""A headless browser in Airflow's pages, as a person uses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from scripts.browser import install

PATIENCE_MS = 30_000


@contextmanager
def browser_page(width: int = 1280, height: int = 900) -> Iterator[Page]:
    """Open an empty page of Debian's Chromium."""
    with sync_playwright() as playwright:
        # Root, as in CI, needs --no-sandbox; only pages of this machine are opened.
        browser = playwright.chromium.launch(executable_path=install(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        try:
            yield page
        finally:
            browser.close()


def log_in(page: Page, url: str, user: str, password: str) -> None:
    """Log in by the form of Airflow."""
    page.goto(url)
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "login" not in address)


def serious_findings(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical in an open page: rule and place.

    Airflow's own frame around the page is not ours to mend: only `main` elements of ours count.
    """
    results = Axe().run(page, context="main[data-flywheel]").response
    return [
        f"{found['id']}: {found['help']}: {node['html'][:200]}"
        for found in results["violations"]
        if found["impact"] in {"serious", "critical"}
        for node in found["nodes"]
    ]
