"""The validation result of one batch as a page: each expectation, and what was observed.

Great Expectations' own page (Data Docs) loads scripts and styles from six other sites, and puts
values of the data into the page as they are: a value such as `<script>` would be run.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from include.use_cases.expectations import Expectation

EXAMPLES = 5
"""Values of a failed expectation that are shown."""
_LONGEST = 200
"""Characters of a value that are shown."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8888; padding: .4rem .6rem; text-align: left;
  vertical-align: top; }
td { overflow-wrap: anywhere; }
"""
_HEADINGS = ("Expectation", "Result", "If it fails", "Rows that fail", "Observed")


def validation_page(subject: str, results: Sequence[tuple[Expectation, Any]]) -> str:
    """Make the page.

    Parameters
    ----------
    subject : str
        Its title: use case and partition.
    results : sequence of (Expectation, ExpectationValidationResult)
        What the suite asked for, and Great Expectations' answers.

    Returns
    -------
    str
        HTML that needs nothing from elsewhere and runs no script.
    """
    failed = sum(not result.success for _, result in results)
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADINGS)
    body = "".join(_row(expectation, result) for expectation, result in results)
    title = f"Validation of {escape(subject)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
        f"<p>{len(results)} expectations, {failed} of them failed (Great Expectations).</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Expectations">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        "</main></body></html>"
    )


def _row(expectation: Expectation, result: Any) -> str:
    found = result.result
    rows = "-"
    if (count := found.get("unexpected_count")) is not None:
        rows = f"{count:,} of {found.get('element_count', 0):,}"
    arguments = ", ".join(f"{name}: {value}" for name, value in expectation.arguments.items())
    cells = (
        f"{_shown(expectation.expectation)}<br><small>{_shown(arguments)}</small>",
        "passed" if result.success else "<strong>failed</strong>",
        "the batch is refused" if expectation.on_failure == "refuse" else "rows are quarantined",
        rows,
        _observed(found),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _observed(found: dict[str, Any]) -> str:
    if "observed_value" in found:
        return _shown(found["observed_value"])
    examples = list(found.get("partial_unexpected_list") or [])[:EXAMPLES]
    return f"such as {', '.join(map(_shown, examples))}" if examples else "-"


def _shown(value: Any) -> str:
    text = str(value)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
