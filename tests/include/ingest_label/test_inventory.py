"""Landed content: known by its sha256, in the order of landing, never lost but by a retraction."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.due.state import states
from include.errors import DataContractError, FileUnavailable
from include.ingest_label import inventory as inventory_module
from include.ingest_label.folder import Folder
from include.ingest_label.ingest import (
    ingest_labels,
    ingest_reference,
    ingest_rows,
    wanted_landed,
    wanted_of,
)
from include.ingest_label.inventory import Inventory, look, take
from include.ingest_label.landed import natural
from include.ingest_label.landing import Landing
from include.ingest_label.listing import LandedFile, Listing, StillChanging
from include.ingest_label.patterns import Pattern
from include.ingest_label.retract import retract
from include.lake.table import Lake, Writer
from include.use_cases.loader import load
from include.use_cases.schema import UseCase
from include.validate_clean.validate import validate_and_clean
from tests.include.conftest import writer

DAY, NEXT = "2024-05-01", "2024-05-02"
LONG_AGO_NS = 1_700_000_000_123_456_789


class Home:
    """A landing, a lake, and ever later attempts at the use case `churn`."""

    def __init__(self, where: Path, use_case: UseCase) -> None:
        self.root = where / "landing"
        self.use_case = use_case
        self.lake = Lake(str(where / "lake"))
        self._tokens: Iterator[int] = iter(range(1, 1000))

    @property
    def landing(self) -> Landing:
        return Landing(str(self.root))

    @property
    def writer(self) -> Writer:
        return writer(next(self._tokens))

    def land(self, name: str, *customers: tuple[int, int], day: str = DAY) -> Path:
        """Land customers with their calls, in a file that is old enough to be certain."""
        lines = [f"{customer},{day}T00:00:00Z,gold,{calls},1" for customer, calls in customers]
        path = self.root / "customers" / day / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["customer,seen_at,plan,calls,bill", *lines, ""]))
        return path

    def outcomes(self, name: str, *customers: tuple[int, object], day: str = DAY) -> Path:
        lines = [f"{customer},{day}T00:00:00Z,{days}" for customer, days in customers]
        path = self.root / "departures" / day / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["customer,seen_at,days_to_departure", *lines, ""]))
        return path

    def ingest(self, day: str = DAY) -> Any:
        return ingest_rows(self.use_case, day, self.landing, self.lake, self.writer)

    def ingest_labels(self) -> Any:
        return ingest_labels(self.use_case, DAY, self.landing, self.lake, self.writer)

    def take(self) -> Inventory:
        return take(self.use_case, "raw", self.landing, self.lake, self.writer)

    def due(self) -> list[str]:
        """Name what a run would ingest into `raw`."""
        wanted = wanted_of(self.use_case, self.take())
        found = states("churn", "raw", wanted, self.lake)
        return [key for key, state in found.items() if state.due]

    def raw(self, day: str = DAY) -> list[tuple[int, int]]:
        rows = self.lake.table("churn", "raw").read([day], ["customer", "calls"]).to_pylist()
        return [(row["customer"], row["calls"]) for row in rows]

    def clean(self) -> dict[int, int]:
        validate_and_clean(self.use_case, DAY, self.lake, self.writer)
        rows = self.lake.table("churn", "clean").read([DAY], ["customer", "calls"]).to_pylist()
        return {row["customer"]: row["calls"] for row in rows}

    def labels(self) -> dict[int, int]:
        rows = self.lake.table("churn", "labels").read([DAY], ["customer", "label"]).to_pylist()
        return {row["customer"]: row["label"] for row in rows}

    def ledger(self, stage: str = "raw") -> dict[str, dict[str, Any]]:
        rows = self.lake.table("churn", "landed").read([stage]).to_pylist()
        return {row["path"]: row for row in rows}


@pytest.fixture
def home(tmp_path: Path, churn: UseCase) -> Home:
    return Home(tmp_path, churn)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the files that are read, by name."""
    return counted(monkeypatch, "read", lambda file: file.name)


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the listings, by pattern."""
    return counted(monkeypatch, "list", lambda pattern: pattern.text)


def counted(monkeypatch: pytest.MonkeyPatch, method: str, name: Any) -> list[str]:
    real, calls = getattr(Folder, method), []

    def counting(self: Folder, what: LandedFile | Pattern) -> Any:
        calls.append(name(what))
        return real(self, what)

    monkeypatch.setattr(Folder, method, counting)
    return calls


def tick() -> None:
    """Let a tick of the file system's clock pass, so that what was written is certain."""
    time.sleep(0.06)


# Content, not names and times


def test_the_ledger_says_what_landed_and_since_when(home: Home) -> None:
    path = home.land("a.csv", (1, 1))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    home.take()
    (row,) = home.ledger().values()
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (row["key"], row["path"], row["size"]) == (DAY, f"customers/{DAY}/a.csv", 65)
    assert row["modified_at"].timestamp() == pytest.approx(LONG_AGO_NS / 1e9, abs=1e-5)
    assert 0 <= time.time() - row["first_seen"].timestamp() < 60
    assert (row["gone_at"], row["retracted_at"]) == (None, None)


def touch(home: Home) -> None:
    os.utime(home.root / f"customers/{DAY}/a.csv", ns=(1, 1))


def write_again(home: Home) -> None:
    path = home.root / f"customers/{DAY}/a.csv"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def rename(home: Home) -> None:
    path = home.root / f"customers/{DAY}/a.csv"
    path.rename(path.with_name("z.csv"))


def copy(home: Home) -> None:
    path = home.root / f"customers/{DAY}/a.csv"
    shutil.copyfile(path, path.with_name("0-copy.csv"))


def move_the_root(home: Home) -> None:
    home.root = home.root.rename(home.root.with_name("elsewhere"))


def copy_the_root(home: Home) -> None:
    shutil.copytree(home.root, home.root.with_name("elsewhere"), copy_function=shutil.copyfile)
    home.root = home.root.with_name("elsewhere")


def test_a_file_that_was_moved_and_then_written_again_leaves_nothing_of_before(home: Home) -> None:
    path = home.land("a.csv", (1, 3), (2, 4))
    home.ingest()
    path.rename(path.with_name("b.csv"))
    home.ingest()
    assert list(home.ledger()) == [f"customers/{DAY}/b.csv"]
    home.land("b.csv", (3, 5))
    home.ingest()
    assert home.raw() == [(3, 5)]


@pytest.mark.parametrize("change", [touch, write_again, rename, copy, move_the_root, copy_the_root])
def test_what_leaves_the_content_as_it_is_makes_nothing_due(home: Home, change: Any) -> None:
    home.land("a.csv", (1, 1), (2, 1))
    home.ingest()
    home.land("b.csv", (2, 2))
    tick()
    done = home.ingest()
    change(home)
    assert home.due() == []
    again = home.ingest()  # also not for a person who asks for it
    assert (again.changed, again.partition_version) == (False, done.partition_version)
    assert home.raw() == [(1, 1), (2, 1), (2, 2)]


def test_another_content_of_the_same_size_and_time_is_due(home: Home) -> None:
    path = home.land("a.csv", (1, 1))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    tick()
    home.ingest()
    home.land("a.csv", (1, 2))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert home.due() == [DAY]
    assert home.ingest().changed
    assert home.raw() == [(1, 2)]


def test_what_was_read_at_once_and_written_at_once_is_never_taken_for_the_same(home: Home) -> None:
    """Within one tick of the file system's clock two writes have the same times."""
    path = home.land("a.csv", (1, 1))
    for calls in range(2, 22):
        held = path.stat()
        home.take()
        with path.open("r+") as file:
            file.write(path.read_text().replace(f"gold,{calls - 1}", f"gold,{calls}"))
        os.utime(path, ns=(held.st_atime_ns, held.st_mtime_ns))
        home.take()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        assert home.ledger()[f"customers/{DAY}/a.csv"]["sha256"] == sha256


# What it costs


def test_what_the_ledger_knows_is_not_read_again(
    home: Home, reads: list[str], listings: list[str]
) -> None:
    for day in range(1, 29):
        home.land("a.csv", (1, 1), day=f"2024-02-{day:02}")
    tick()
    home.take()
    assert len(reads) == 28
    del reads[:], listings[:]
    version = home.lake.table("churn", "landed").version()
    home.take()
    assert (reads, listings) == ([], ["customers/{partition}/*.csv"])
    assert home.lake.table("churn", "landed").version() == version
    home.land("b.csv", (1, 2), day="2024-02-07")
    home.take()
    assert reads == ["customers/2024-02-07/b.csv"]


def test_a_look_reads_and_writes_nothing_and_sees_what_is_new(home: Home, reads: list[str]) -> None:
    home.land("a.csv", (1, 1))
    seen = look(home.use_case, "raw", home.landing, home.lake).fingerprints()
    assert list(seen) == [DAY]
    assert reads == []
    assert not home.lake.table("churn", "landed").exists()
    known = home.take().fingerprints()
    assert known[DAY] != seen[DAY]
    assert look(home.use_case, "raw", home.landing, home.lake).fingerprints() == known


def test_the_first_look_at_young_files_is_followed_by_a_second(
    home: Home, listings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory_module, "STILL_S", 0.2)
    home.land("a.csv", (1, 1))
    began = time.monotonic()
    assert list(home.take().contents) == [DAY]
    assert 0.2 <= time.monotonic() - began < 5
    assert len(listings) == 2


def test_a_partition_that_is_being_copied_is_left_and_stops_no_other(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory_module, "STILL_S", 0.1)
    home.land("a.csv", (1, 1))
    home.land("a.csv", (1, 1), day=NEXT)
    monkeypatch.setattr(time, "sleep", lambda _: home.land("a.csv", (1, 1), (2, 1), day=NEXT))
    monkeypatch.setattr(inventory_module.time, "monotonic", iter((0.0, 1.0)).__next__)
    found = home.take()
    assert list(found.contents) == [DAY]
    with pytest.raises(StillChanging, match=f"partition '{NEXT}': its files changed within"):
        found.of(NEXT, "churn")


def test_what_cannot_be_read_is_left_and_stops_no_other(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.land("a.csv", (1, 1))
    home.land("a.csv", (1, 1), day=NEXT)
    real = Folder.read

    def read(self: Folder, file: LandedFile) -> Any:
        if NEXT in file.name:
            raise FileUnavailable("the disk does not answer")
        return real(self, file)

    monkeypatch.setattr(Folder, "read", read)
    found = home.take()
    assert (list(found.contents), list(found.left)) == ([DAY], [NEXT])
    monkeypatch.setattr(Folder, "read", real)
    assert list(home.take().contents) == [DAY, NEXT]


# Corrections


def test_the_file_that_landed_later_corrects_whatever_its_name_is(home: Home) -> None:
    home.land("z.csv", (1, 1), (2, 1))
    home.ingest()
    home.land("a.csv", (2, 2))
    home.ingest()
    assert home.raw() == [(1, 1), (2, 1), (2, 2)]
    assert home.clean() == {1: 1, 2: 2}


def test_of_files_that_are_first_seen_together_the_time_of_writing_decides(home: Home) -> None:
    for number, (name, calls) in enumerate([("part-10.csv", 10), ("part-2.csv", 2)]):
        path = home.land(name, (1, calls), (calls, calls))
        at_ns = LONG_AGO_NS + number * 1_000_000
        os.utime(path, ns=(at_ns, at_ns))
    home.ingest()
    assert home.clean()[1] == 2, "part-2 was written last"


def test_of_files_of_one_time_the_natural_order_decides(home: Home) -> None:
    for calls in (10, 2):
        path = home.land(f"part-{calls}.csv", (1, calls), (calls, calls))
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    home.ingest()
    assert home.clean()[1] == 10


def test_the_order_survives_a_copy_that_sets_other_times(home: Home) -> None:
    for name, calls in (("z.csv", 1), ("a.csv", 2)):
        home.land(name, (1, calls), (calls + 5, 0))
        home.ingest()
    before = home.raw()
    for name, at_ns in (("z.csv", 2 * LONG_AGO_NS), ("a.csv", LONG_AGO_NS)):
        os.utime(home.root / f"customers/{DAY}/{name}", ns=(at_ns, at_ns))
    copy_the_root(home)
    assert home.due() == []
    home.ingest()
    assert home.raw() == before


def test_names_with_numbers_are_ordered_by_them() -> None:
    names = ["b", "part-10.csv", "part-2.csv", "part-2-1.csv", "10", "9"]
    assert sorted(names, key=natural) == [
        "9", "10", "b", "part-2-1.csv", "part-2.csv", "part-10.csv",
    ]  # fmt: skip


def test_a_file_that_is_written_again_has_only_its_new_rows(home: Home) -> None:
    home.land("a.csv", (1, 1), (2, 1))
    home.ingest()
    home.land("a.csv", (1, 5))
    home.ingest()
    assert home.raw() == [(1, 5)]


def test_later_outcomes_correct_earlier_ones_also_to_unknown(home: Home) -> None:
    home.outcomes("z.csv", (1, 30), (2, 30), (3, 99))
    home.ingest_labels()
    assert home.labels() == {1: 1, 2: 1, 3: 0}
    home.outcomes("a.csv", (1, 99), (2, ""))
    done = home.ingest_labels()
    assert home.labels() == {3: 0, 1: 0}
    assert (done.rows, done.without_outcome) == (2, 1)


def test_an_outcome_twice_in_one_file_is_refused_still(home: Home) -> None:
    home.outcomes("a.csv", (1, 30), (1, 31))
    with pytest.raises(DataContractError, match=r"outcomes of 2024-05-01 in .*a.csv: the key"):
        home.ingest_labels()


def test_a_column_of_the_outcomes_may_decide(home: Home, churn_root: Path) -> None:
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace("ingest:", "ingest:\n  corrections: {by: seen_at}", 1))
    home.use_case = load(churn_root / "churn")
    later = home.outcomes("a.csv", (1, 30))
    later.write_text(later.read_text().replace("T00:", "T09:"))
    home.ingest_labels()
    home.outcomes("b.csv", (1, 99))
    home.ingest_labels()
    assert home.labels() == {1: 1}, "the one of 9 o'clock stands, though another landed later"


# Files that are gone


def test_a_file_that_a_lifecycle_rule_removes_never_shrinks_raw(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    first = home.land("a.csv", (1, 1), (2, 1))
    home.land("b.csv", (3, 1))
    home.ingest()
    first.unlink()
    assert home.due() == []
    home.land("c.csv", (2, 2))
    assert home.due() == [DAY]
    with caplog.at_level(logging.WARNING):
        done = home.ingest()
    assert home.raw() == [(1, 1), (2, 1), (3, 1), (2, 2)]
    assert (done.files, done.gone) == (3, [f"customers/{DAY}/a.csv"])
    assert f"1 landed files are gone, and their rows are kept: customers/{DAY}/a.csv" in caplog.text
    assert home.lake.table("churn", "raw").facts(DAY)["facts"] == {"files": 3, "files_gone": 1}
    assert home.due() == []
    assert home.ledger()[f"customers/{DAY}/a.csv"]["gone_at"] is not None


def test_all_files_may_go_before_a_correction_lands(home: Home) -> None:
    home.land("a.csv", (1, 1), (2, 1)).unlink()
    path = home.land("a.csv", (1, 1), (2, 1))
    home.ingest()
    path.unlink()
    assert home.due() == []
    wanted = wanted_landed(home.use_case, home.landing, home.lake)["raw"]
    assert states("churn", "raw", wanted, home.lake)[DAY].status == "up to date"
    home.land("b.csv", (2, 2))
    home.ingest()
    assert home.raw() == [(1, 1), (2, 1), (2, 2)]


def test_a_file_that_comes_back_is_where_it_was(home: Home) -> None:
    path = home.land("b.csv", (1, 1), (2, 1))
    home.ingest()
    home.land("a.csv", (2, 2))
    done = home.ingest()
    path.unlink()
    assert home.due() == []
    home.land("b.csv", (1, 1), (2, 1))
    assert home.due() == []
    assert home.ingest().partition_version == done.partition_version
    assert home.ledger()[f"customers/{DAY}/b.csv"]["gone_at"] is None


def test_a_file_that_was_refused_and_cleared_away_is_forgotten(home: Home) -> None:
    home.land("a.csv", (1, 1))
    home.ingest()
    bad = home.land("b.csv", (2, 1))
    bad.write_text("customer\n7\n")
    with pytest.raises(DataContractError, match=r"b.csv: must have each of the columns"):
        home.ingest()
    bad.unlink()
    assert home.due() == []
    assert list(home.ledger()) == [f"customers/{DAY}/a.csv"]


def test_labels_of_outcomes_that_are_gone_are_kept(home: Home) -> None:
    path = home.outcomes("a.csv", (1, 30), (2, 30))
    home.ingest_labels()
    path.unlink()
    home.outcomes("b.csv", (2, 99))
    assert home.ingest_labels().gone == [f"departures/{DAY}/a.csv"]
    assert home.labels() == {1: 1, 2: 0}


def test_labels_of_two_rules_are_never_put_side_by_side(home: Home, churn_root: Path) -> None:
    path = home.outcomes("a.csv", (1, 30))
    home.ingest_labels()
    path.unlink()
    home.outcomes("b.csv", (2, 30))
    yaml = churn_root / "churn" / "use_case.yaml"
    yaml.write_text(yaml.read_text().replace('"<= 30"', '"<= 10"'))
    home.use_case = load(churn_root / "churn")
    with pytest.raises(
        DataContractError, match=rf"by one rule, but the rule has changed.*departures/{DAY}/a.csv"
    ):
        home.ingest_labels()
    assert home.labels() == {1: 1}


def test_a_reference_keeps_what_is_gone_and_takes_corrections(home: Home) -> None:
    folder = home.root / "plans"
    folder.mkdir(parents=True)
    for name, text in (("1.csv", "basic,9\ngold,20\n"), ("2.csv", "gold,25\n")):
        (folder / name).write_text("plan,price\n" + text)
        ingest_reference(home.use_case, "plans", "all", home.landing, home.lake, home.writer)
        (folder / name).unlink()
    rows = home.lake.table("churn", "reference_plans").read(columns=["plan", "price"]).to_pylist()
    assert rows == [{"plan": "basic", "price": 9.0}, {"plan": "gold", "price": 25.0}]


def take_back(home: Home) -> None:
    retract(
        home.use_case, DAY, reason="wrong unit", who="ann",
        landing=home.landing, lake=home.lake, writer=home.writer,
    )  # fmt: skip


def test_only_a_retraction_removes_rows_also_those_of_files_that_are_gone(home: Home) -> None:
    home.land("a.csv", (1, 1)).touch()
    home.land("b.csv", (2, 1))
    home.ingest()
    (home.root / f"customers/{DAY}/a.csv").unlink()
    assert home.due() == []
    take_back(home)
    assert home.due() == []
    assert home.lake.table("churn", "raw").partitions() == []
    assert {row["retracted_at"] is not None for row in home.ledger().values()} == {True}
    home.land("c.csv", (3, 1))
    assert home.due() == [DAY]
    home.ingest()
    assert home.raw() == [(3, 1)]


def test_a_retraction_of_files_that_are_all_gone(home: Home) -> None:
    home.land("a.csv", (1, 1))
    home.ingest()
    (home.root / f"customers/{DAY}/a.csv").unlink()
    take_back(home)
    home.land("c.csv", (3, 1))
    home.ingest()
    assert home.raw() == [(3, 1)]


def test_what_lands_again_after_a_retraction_has_landed_then(home: Home) -> None:
    """And stays when it goes: the retraction was of what had landed before."""
    home.land("a.csv", (1, 1))
    home.ingest()
    take_back(home)
    home.land("b.csv", (1, 2))
    home.ingest()
    home.land("a.csv", (1, 1))
    home.ingest()
    assert home.raw() == [(1, 2), (1, 1)]
    (home.root / f"customers/{DAY}/a.csv").unlink()
    home.land("c.csv", (3, 1))
    home.ingest()
    assert home.raw() == [(1, 2), (1, 1), (3, 1)]


# Tables of before


def test_rows_of_unknown_files_are_kept_where_no_file_brings_their_key(home: Home) -> None:
    """A table that was made before rows named their file: the column was added as missing."""
    home.land("a.csv", (1, 1), (2, 1), (4, 1))
    home.ingest()
    raw = home.lake.table("churn", "raw")
    rows = raw.read([DAY]).drop_columns(["partition", "_file"])
    rows = rows.append_column("_file", [[None] * 3]).cast(raw.schema())
    raw.publish(rows, partition=DAY, schema=rows.schema, writer=home.writer, origin=["_file"])
    shutil.rmtree(home.root)
    shutil.rmtree(Path(home.lake.uri) / "churn" / "landed")
    home.land("b.csv", (2, 2), (3, 2))
    home.ingest()
    assert home.raw() == [(1, 1), (4, 1), (2, 2), (3, 2)]
    home.land("c.csv", (1, 3))
    home.ingest()
    assert home.raw() == [(4, 1), (2, 2), (3, 2), (1, 3)]


def test_a_listing_of_nothing_is_nothing_landed(home: Home) -> None:
    found = Inventory("raw", "p/{partition}/*.csv", {}, ignored=Listing().sentences("p"))
    with pytest.raises(DataContractError, match=r"churn: nothing landed for .* '2024-05-09'"):
        found.of("2024-05-09", "churn")


def test_a_second_look_of_one_attempt_is_kept_in_the_ledger(home):
    """An attempt that looks twice would otherwise find its first look, and take it for this one."""
    attempt = home.writer
    for name in ("a.csv", "b.csv"):
        home.land(name, (1, 2))
        take(home.use_case, "raw", home.landing, home.lake, attempt)
    assert sorted(Path(path).name for path in home.ledger()) == ["a.csv", "b.csv"]
