"""What the gate earned in a replay of flights: read from what `make replay` wrote.

    make replay USE_CASE=flight_delays
    cp .flywheel/replays/flight_delays/replay.json docs/
    python -m benchmarks.decisions --docs --only replay

The replay takes its own time, so it is not run here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.decision_table import Row
from include.settings import REPO
from scripts.stack.settings import StackSettings

REPLAY = "replay"
USE_CASE = "flight_delays"
COMMITTED = REPO / "docs" / "replay.json"
"""Copied there to be committed beside the table."""
DECLARED = ("declared", "gate")


def replay_rows(path: Path | None = None) -> Iterator[Row]:
    """Make the replay's two rows; they say "not run" where there is no result.

    Parameters
    ----------
    path : Path, optional
        Of the replay's JSON; by default the committed one, else the newest of this home.
    """
    found = _found(path)
    lines = {} if found is None else {(one["policy"], one["gate"]): one for one in found["lines"]}
    declared = lines.get(DECLARED)
    against = {} if declared is None else declared["against"]
    yield Row(
        "replay/declared",
        "replay of flights: AUC of the declared policy with the gate, minus every partition "
        "ungated, mean of the months",
        now=against.get("mean"),
        now_se=against.get("standard_error"),
        before=None,
        before_se=None,
        limit=None,
        sense="at least",
        share=False,
        n=0 if found is None else len(found["partitions"]),
        n_before=0,
        code="" if found is None else found.get("code", "unknown"),
    )
    yield _claims(found)


def _claims(found: dict[str, Any] | None) -> Row:
    """Next month's gain minus the lower bound that was claimed, over all promotions by the gate."""
    # Policies share trainings: one promotion of two policies is one.
    paid = {
        (one["as_of"], one["claimed"], one["gain"])
        for one in (found or {"paid": []})["paid"]
        if one["claimed"] is not None
    }
    beyond = [gain - claimed for _, claimed, gain in sorted(paid)]
    return Row(
        "replay/claimed",
        "replay of flights, promotions by the gate: next month's gain minus the lower bound that "
        "was claimed, mean",
        now=fmean(beyond) if beyond else None,
        now_se=stdev(beyond) / math.sqrt(len(beyond)) if beyond[1:] else None,
        before=None,
        before_se=None,
        limit=0.0,
        sense="at least",
        share=False,
        n=len(beyond),
        n_before=0,
        code="" if found is None else found.get("code", "unknown"),
    )


def _found(path: Path | None) -> dict[str, Any] | None:
    home = StackSettings.from_env().home
    places = [path] if path else [COMMITTED, home / "replays" / USE_CASE / "replay.json"]
    for place in places:
        if place.exists():
            content: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
            return content
    return None
