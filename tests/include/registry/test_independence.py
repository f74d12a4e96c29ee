"""Own Python that looks at its neighbours is found out, and scored row by row."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.registry.manifest import MANIFEST
from include.registry.package import ServableModel
from include.serving.live import Live
from include.serving.protocol import Rows
from include.use_cases.python_package import OwnPython
from tests.support.packages import make_package, tiny_rows, tiny_use_case

GOOD = "def derive(frame):\n    return frame.assign(x=frame['x'] * 2)\n"
WRONG = {
    "mean": "def derive(frame):\n    return frame.assign(x=frame['x'] - frame['x'].mean())\n",
    "rank": "def derive(frame):\n    return frame.assign(z=frame['z'].rank())\n",
    "count": "def derive(frame):\n    return frame.assign(z=float(len(frame)))\n",
    "before": "def derive(frame):\n    return frame.assign(z=frame['z'].shift().fillna(0.0))\n",
    "memory": (
        "seen = []\n"
        "def derive(frame):\n"
        "    seen.append(len(frame))\n"
        "    return frame.assign(z=float(len(seen)))\n"
    ),
    "together": (
        "def derive(frame):\n"
        "    if len(frame) > 1:\n"
        "        raise ValueError('one at a time')\n"
        "    return frame\n"
    ),
}


def packaged(where: Path, text: str | None) -> ServableModel:
    files = () if text is None else (("features.py", text),)
    return make_package(
        where, use_case=tiny_use_case(), python=OwnPython("tiny", files), request_rows=tiny_rows()
    ).load()


@pytest.mark.parametrize("text", [None, GOOD])
def test_rows_apart_are_noted_in_the_signed_manifest(tmp_path: Path, text: str | None) -> None:
    assert packaged(tmp_path, text).rows_apart
    assert json.loads((tmp_path / "package" / MANIFEST).read_text())["rows_apart"] is True


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_rows_that_depend_on_their_neighbours_are_found(tmp_path: Path, kind: str) -> None:
    assert packaged(tmp_path, WRONG[kind]).rows_apart is False


def test_a_rare_row_that_fails_alone_does_not_count(tmp_path: Path) -> None:
    text = (
        "def derive(frame):\n"
        "    if not frame['colour'].isin(['red', 'green', 'blue']).all():\n"
        "        raise ValueError('no such colour')\n"
        "    return frame\n"
    )
    assert packaged(tmp_path, text).rows_apart


def test_what_is_rare_is_tried_too(tmp_path: Path) -> None:
    """The mean is taken only where a text is unknown: no sampled row has one."""
    text = (
        "def derive(frame):\n"
        "    known = frame['colour'].isin(['red', 'green', 'blue'])\n"
        "    return frame.assign(x=frame['x'].where(known, frame['x'].mean()))\n"
    )
    assert not packaged(tmp_path, text).rows_apart


def test_a_version_of_which_nothing_is_known_is_scored_request_by_request(tmp_path: Path) -> None:
    model = dataclasses.replace(packaged(tmp_path, WRONG["count"]), rows_apart=None)
    columns: dict[str, Any] = {"x": [0.5, -1.0], "z": [0.0, 9.0], "colour": ["red", "blue"]}
    live = Live(model, {}, {}, pd.Timestamp.now("UTC"))
    expected = model.score(pd.DataFrame(columns), {})
    np.testing.assert_array_equal(live.score([Rows(columns, 2)])[0].scores, expected)
    assert live.plain is None


def test_serving_scores_them_row_by_row(tmp_path: Path) -> None:
    model = packaged(tmp_path, WRONG["count"])
    columns: dict[str, Any] = {"x": [0.5, -1.0], "z": [0.0, 9.0], "colour": ["red", "blue"]}
    live = Live(model, {}, {}, pd.Timestamp.now("UTC"))
    both = live.score([Rows({n: v[:1] for n, v in columns.items()}, 1), Rows(columns, 2)])
    alone = [model.score(pd.DataFrame(columns).iloc[[row]], {}) for row in (0, 1)]
    np.testing.assert_array_equal(both[0].scores, alone[0])
    np.testing.assert_array_equal(both[1].scores, np.concatenate(alone))
