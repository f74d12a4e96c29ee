"""A pin is a version of one table: of another table in the same place it is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from deltalake import DeltaTable

from include.errors import DataContractError
from include.lake.pins import pin_of, pinned_versions, table_of
from include.lake.table import Input, Lake, LakeTable, Published

Publish = Callable[..., Published]


def test_a_pin_names_the_version_and_deltas_own_id(
    lake: Lake, table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1, [1])
    publish(table, "2013-02", 1, [2])
    delta = DeltaTable(f"{lake.uri}/flight_delays/raw")
    known = str(delta.metadata().id)

    assert table.pin() == Input("flight_delays.raw", 1, None, known)
    assert table.pin(0) == Input("flight_delays.raw", 0, None, known)
    assert table.read_input("2013-01")[1].table_id == known
    assert pin_of(asdict(table.pin())) == table.pin()


def test_after_move_the_table_away_and_start_again_an_old_pin_is_refused(
    lake: Lake, table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1, [1])
    old = table.pin()
    shutil.move(f"{lake.uri}/flight_delays/raw", f"{lake.uri}/flight_delays/raw.old")
    publish(table, "2013-01", 1, [11])
    assert table.read(version=old.version).to_pydict()["a"] == [11], "a version alone does not tell"

    with pytest.raises(DataContractError) as refused:
        pinned_versions(lake, [asdict(old)])
    assert str(refused.value) == (
        f"table flight_delays.raw: version 0 was pinned in the table with the id {old.table_id}, "
        f"but the table in {lake.uri}/flight_delays/raw has the id {table.pin().table_id}: the "
        "former one was moved away or created again, and the versions of this one hold other rows. "
        "Nothing was read. Put the former table back to read that version, or start a new training."
    )

    shutil.rmtree(f"{lake.uri}/flight_delays/raw")
    shutil.move(f"{lake.uri}/flight_delays/raw.old", f"{lake.uri}/flight_delays/raw")
    assert pinned_versions(lake, [asdict(old)]) == {"flight_delays.raw": 0}


def test_a_pin_from_before_ids_were_kept_is_a_version(
    lake: Lake, table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1, [1])
    noted = {"table": "flight_delays.raw", "version": 0}
    assert pinned_versions(lake, [noted]) == {"flight_delays.raw": 0}


def test_a_pin_of_a_version_or_table_that_is_gone_says_so(
    lake: Lake, table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1, [1])
    with pytest.raises(DataContractError, match="version 7 must be one that is kept"):
        pinned_versions(lake, [{"table": "flight_delays.raw", "version": 7}])
    with pytest.raises(DataContractError, match=r"flight_delays\.clean has nothing yet"):
        pinned_versions(lake, [{"table": "flight_delays.clean", "version": 0}])


def test_the_commit_notes_the_id_of_each_table_that_was_read(
    lake: Lake, table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1, [1])
    clean = table_of(lake, "flight_delays.clean")
    assert (clean.name, Path(lake.uri).name) == ("flight_delays.clean", "lake")
    publish(clean, "2013-01", 1, [1], inputs=[table.read_input("2013-01")[1]])
    assert clean.facts("2013-01")["inputs"] == [asdict(table.read_input("2013-01")[1])]
