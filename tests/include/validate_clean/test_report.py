"""The validation result as a page: what the suite found, and no script from the data."""

from __future__ import annotations

from html.parser import HTMLParser

import pandas as pd
import pytest

from include.use_cases.expectations import Expectation, Suite
from include.validate_clean.expectations import check
from include.validate_clean.report import validation_page

NASTY = "<script>alert(1)</script>"


class Cells(HTMLParser):
    """Reads the text of each cell, and the tags of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def page() -> Cells:
    suite = Suite(
        expectations=[
            Expectation(
                expectation="expect_column_values_to_be_in_set",
                column="b",
                value_set=["y"],
                on_failure="quarantine",
            ),
            Expectation(
                expectation="expect_table_row_count_to_be_between",
                min_value=2,
                on_failure="refuse",
            ),
        ]
    )
    frame = pd.DataFrame({"b": ["y", NASTY, "z"]})
    return Cells(validation_page("tiny, 2024-03", check(frame, suite, "suite.yaml").results))


def test_each_expectation_has_a_row_with_what_was_found(page):
    assert page.cells[1:5] == ["failed", "rows are quarantined", "2 of 3", f"such as {NASTY}, z"]
    assert page.cells[6:9] == ["passed", "the batch is refused", "-"]
    assert page.cells[9].startswith("3"), "rows that were counted"


def test_values_of_the_data_stay_text(page):
    assert "script" not in page.tags
    assert not page.tags & {"link", "img", "iframe"}, "it asks nobody for anything"
