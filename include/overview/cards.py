"""The cards of all use cases."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from include.errors import FlywheelError
from include.lake.table import Lake
from include.overview.card import SHOWN, Card, card_of
from include.use_cases.schema import UseCase

_AT_ONCE = 8
"""Looks at the store that wait for it side by side."""


def cards_of(
    use_cases: Iterable[UseCase], lake: Lake, verify_key: Path, last: int = SHOWN
) -> dict[str, Card | FlywheelError]:
    """Look at several use cases.

    Returns
    -------
    dict of str to (Card or FlywheelError)
        By name, in their order: what is wrong with one hides none of the others.
    """

    def look(use_case: UseCase) -> Card | FlywheelError:
        try:
            return card_of(use_case, lake, verify_key, last)
        except FlywheelError as error:
            return error

    asked = list(use_cases)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip([one.name for one in asked], pool.map(look, asked), strict=True))
