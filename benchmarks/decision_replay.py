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

from benchmarks.decision_table import Row, not_run
from include.settings import REPO
from scripts.stack.settings import StackSettings

REPLAY = "replay"
USE_CASE = "flight_delays"
COMMITTED = REPO / "docs" / "replay.json"
"""Copied there to be committed beside the table."""
DECLARED = ("declared", "gate")
_AGAINST = (
    "replay/declared",
    "replay of flights: AUC of the declared policy with the gate, minus every partition ungated, "
    "mean of the months",
)
_CLAIMED = (
    "replay/claimed",
    "replay of flights, promotions by the gate: next month's gain minus the lower bound that was "
    "claimed, mean",
)


def newest_replay() -> Path | None:
    """Return where a replay's JSON is: the committed one, else that of this home; or None."""
    home = StackSettings.from_env().home
    places = (COMMITTED, home / "replays" / USE_CASE / "replay.json")
    return next((place for place in places if place.exists()), None)


def replay_rows(path: Path | None) -> Iterator[Row]:
    """Make the replay's two rows; they say "not run" where there is no result.

    Parameters
    ----------
    path : Path or None
        Of the replay's JSON.
    """
    if path is None:
        yield not_run(*_AGAINST, share=False)
        yield not_run(*_CLAIMED, limit=0.0, sense="at least", share=False)
        return
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    code = found["code"]
    (declared,) = [one for one in found["lines"] if (one["policy"], one["gate"]) == DECLARED]
    mean, error = declared["against"]["mean"], declared["against"]["standard_error"]
    months = len(found["partitions"])
    yield Row(*_AGAINST, mean, error, None, None, None, "at least", False, months, 0, code)
    # Policies share trainings: one promotion of two policies is one.
    paid = {
        (one["as_of"], one["claimed"], one["gain"])
        for one in found["paid"]
        if one["claimed"] is not None
    }
    beyond = [gain - claimed for _, claimed, gain in sorted(paid)]
    mean = fmean(beyond) if beyond else None
    error = stdev(beyond) / math.sqrt(len(beyond)) if beyond[1:] else None
    yield Row(*_CLAIMED, mean, error, None, None, 0.0, "at least", False, len(beyond), 0, code)
