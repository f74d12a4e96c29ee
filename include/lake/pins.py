"""Read a table again as it was: a pin is a version of one table, named with the table's id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from include.lake.records import Input
from include.lake.table import Lake, LakeTable


def pin_of(noted: Mapping[str, Any]) -> Input:
    """Make a pin of what was noted: `table`, `version`, and `table_id` since ids are kept."""
    return Input(noted["table"], int(noted["version"]), None, noted.get("table_id"))


def table_of(lake: Lake, name: str) -> LakeTable:
    """Find a table by its whole name, such as `flight_delays.features`."""
    use_case, _, stage = name.partition(".")
    return lake.table(use_case, stage)


def pinned_versions(lake: Lake, noted: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the version to read of each pinned table, once every one of them is found to be it.

    Parameters
    ----------
    lake : Lake
        Holds the tables.
    noted : iterable of mapping
        Pins as `Prepared.inputs` and a model's facts hold them.

    Raises
    ------
    DataContractError
        When a table was moved away or created again since, or its version is gone.
    """
    pins = [pin_of(each) for each in noted]
    for pin in pins:
        table_of(lake, pin.table).check_pin(pin)
    return {pin.table: pin.version for pin in pins}
