"""`/docs`: what one may ask, as a page that loads nothing from anywhere and runs nothing."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from include.serving.models import Models
from include.serving.openapi import row_of

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'"
}
_STYLE = """\
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
pre { background: color-mix(in srgb, currentColor 8%, transparent); overflow: auto; padding: 1rem }
table { border-collapse: collapse }
th, td { padding: .2rem 1.5rem .2rem 0; text-align: left }
"""


def page(models: Models) -> str:
    """Write the page: for each use case its address, the columns of a row, and an example."""
    sections = "".join(_section(name, models) for name in models.names)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Flywheel serving</title><style>{_STYLE}</style><main><h1>Flywheel serving</h1>"
        "<p>Predictions of every use case's champion, by MLflow's scoring protocol. "
        '<a href="/openapi.json">/openapi.json</a> describes the same to programs; '
        '<a href="/health">/health</a> and <a href="/metrics">/metrics</a> are about the server.'
        f"</p>{sections or '<p>There are no use cases.</p>'}</main></html>"
    )


def _section(name: str, models: Models) -> str:
    live = models.live(name)
    title = f"<h2>{escape(name)}</h2>"
    if live is None:
        return f"{title}<p>There is no champion yet.</p>"
    row = row_of(live.model)
    columns = "".join(
        f"<tr><td><code>{escape(column)}</code><td>{escape(_kind(about))}"
        f"<td>{'' if column in row['required'] else 'may be left out'}"
        for column, about in row["properties"].items()
    )
    body = json.dumps({"instances": [live.model.example]}, indent=1)
    return (
        f"{title}<p><code>POST /{escape(name)}/invocations</code>, version "
        f"{escape(live.model.version)}. A row has:</p><table>{columns}</table>"
        f"<p>For example, with <code>Content-Type: application/json</code>:</p>"
        f"<pre>{escape(body)}</pre>"
    )


def _kind(about: dict[str, Any]) -> str:
    """Describe a column in words.

    >>> _kind({"type": ["number", "null"], "minimum": 0, "maximum": 24})
    'number or null, from 0 to 24'
    """
    types = about["type"] if isinstance(about["type"], list) else [about["type"]]
    words = " or ".join(types) + (f", {about['format']}" if "format" in about else "")
    if "minimum" in about:
        words += f", from {about['minimum']:g} to {about['maximum']:g}"
    return words
