from __future__ import annotations

from typing import Any

import pytest

from include.registry.request_rules import Rule
from include.serving.ranges import OutOfRange, out_of_range

BOTH = Rule(possible=(-10, 10), usual=(0, 1), refuse=False)


@pytest.mark.parametrize(
    ("values", "flagged"),
    [
        ([0, 1, 0.5, None], []),
        ([1.5, 0, -0.1], [0, 2]),
        ([11, 0, 2, -10.5], [0, 2, 3]),
    ],
)
def test_rows_outside_are_named_once(values: list[Any], flagged: list[int]) -> None:
    found = out_of_range({"x": values}, {"x": BOTH, "not sent": BOTH})
    assert found == ({"x": flagged} if flagged else {})


def test_integers_are_compared_exactly() -> None:
    rule = Rule(usual=(0, 2**62))
    assert out_of_range({"n": [2**62, 2**62 + 1]}, {"n": rule}) == {"n": [1]}


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        (Rule(possible=(0.0, 1e9)), -1, "between 0 and 1000000000, the physically"),
        (Rule(possible=(-0.5, 1.25)), 1e300, "between -0.5 and 1.25, .* got 1e\\+300"),
        (Rule(possible=(0, 1), refuse=False, nullable=False), 2, r"between 0 and 1, .* got 2\.$"),
    ],
)
def test_the_impossible_is_refused_with_value_and_range(rule: Rule, value: Any, said: str) -> None:
    with pytest.raises(OutOfRange, match=f"^Row 1, column 'x': must be .*{said}") as refused:
        out_of_range({"x": [0, value]}, {"x": rule})
    assert (refused.value.name, refused.value.status) == ("x", 400)
