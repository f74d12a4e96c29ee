"""What was missing in rows that are scored together is told to the request that sent them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from include.serving.scored import Scored, joined, unknown_categories

ROWS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5)


def scored(rows: list[tuple[bool, bool]], start: int = 0) -> Scored:
    """Give a row's number as its score; the first of the two says unknown, the second unjoined."""
    places: list[dict[str, Any]] = [
        {"name": np.flatnonzero([row[which] for row in rows])} for which in (0, 1)
    ]
    unknown, failed = ({name: at for name, at in each.items() if len(at)} for each in places)
    return Scored(np.arange(start, start + len(rows), dtype=np.float64), unknown, failed)


def told(each: Scored) -> tuple[Any, ...]:
    findings = (each.unknown_categories, each.failed_joins)
    return each.scores.tolist(), *({n: list(at) for n, at in some.items()} for some in findings)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_each_request_gets_what_it_would_get_alone(requests: list[list[tuple[bool, bool]]]) -> None:
    together = scored([row for rows in requests for row in rows])
    starts = np.cumsum([0, *map(len, requests)])
    alone = [scored(rows, int(start)) for rows, start in zip(requests, starts, strict=False)]
    assert list(map(told, together.split(list(map(len, requests))))) == list(map(told, alone))


@given(ROWS)
def test_rows_that_are_scored_one_by_one_are_told_together(rows: list[tuple[bool, bool]]) -> None:
    assert told(joined([scored([row], at) for at, row in enumerate(rows)])) == told(scored(rows))


def test_a_missing_value_is_no_unknown_category() -> None:
    texts = np.array(["red", "missing", "mauve", "", "red"], dtype=object)
    found = unknown_categories({"colour": frozenset({"red", "blue"})}, {"colour": texts, "x": []})
    assert {name: at.tolist() for name, at in found.items()} == {"colour": [2, 3]}
