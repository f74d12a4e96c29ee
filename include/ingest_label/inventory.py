"""What has landed for one table of the lake, from one listing and the ledger `landed`."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc

from include.due.stages import ALL
from include.errors import DataContractError, FileUnavailable, bounded
from include.ingest_label.checks import MAX_FILE_BYTES
from include.ingest_label.landed import (
    LANDED,
    UNCERTAIN,
    Content,
    Digest,
    Entry,
    contents_of,
    fingerprint,
    read_entries,
    updated,
    write_entries,
)
from include.ingest_label.landing import Landing, as_seen
from include.ingest_label.listing import LandedFile, Listing, StillChanging
from include.ingest_label.stillness import STILL_S, Stillness
from include.lake.attempts import next_token
from include.lake.schemas import FILE
from include.lake.table import Lake, LakeTable, Writer
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Inventory:
    """What has landed for one table.

    Attributes
    ----------
    stage : str
        The table: `raw`, `labels` or `reference_<name>`.
    pattern : str
        Where its files land.
    contents : dict of str to list of Content
        By partition, in the order of landing; also those whose file is gone.
    left : dict of str to FileUnavailable
        Partitions that a later run takes: they do not hold still, or cannot be read.
    ignored : list of str
        A sentence for each file that is not taken.
    """

    stage: str
    pattern: str
    contents: Mapping[str, Sequence[Content]]
    left: Mapping[str, FileUnavailable] = field(default_factory=dict)
    ignored: Sequence[str] = ()

    def fingerprints(self) -> dict[str, int]:
        """Return a number for each partition: equal contents in equal order, equal numbers."""
        return {key: fingerprint(held) for key, held in sorted(self.contents.items())}

    def of(self, key: str, subject: str) -> Sequence[Content]:
        """Return the contents of one partition.

        Raises
        ------
        FileUnavailable
            It is left for a later run.
        DataContractError
            Nothing has landed for it.
        """
        if key in self.left:
            raise self.left[key]
        if key in self.contents:
            return self.contents[key]
        told = " ".join(self.ignored[:3])
        raise DataContractError(
            f"{subject}: nothing landed for {self.pattern!r} in partition {key!r}; landed are "
            f"{bounded(str(sorted(self.contents)), 500)}. Land the files first. {told}".rstrip()
        )


def look(use_case: UseCase, stage: str, landing: Landing, lake: Lake) -> Inventory:
    """Say what has landed, from the listing and the ledger alone: no file is read.

    A partition with a file that the ledger does not know has a fingerprint of its own, so that it
    is due.
    """
    return _inventory(use_case, stage, landing, lake, None, None)


def take(
    use_case: UseCase,
    stage: str,
    landing: Landing,
    lake: Lake,
    writer: Writer,
    partition: str | None = None,
) -> Inventory:
    """Say what has landed, and keep it in the ledger.

    One listing, after which files that the ledger does not know are read once. Where such a file
    is younger than `STILL_S`, there is a second listing that long after: what changes meanwhile is
    left, as the watch leaves it.

    Parameters
    ----------
    use_case, stage : UseCase, str
        Name the table.
    landing, lake : Landing, Lake
        Where files land, and where the ledger is.
    writer : Writer
        Goes into the commit.
    partition : str, optional
        Look at this one alone.

    Raises
    ------
    ServiceUnavailable
        The landing or the lake does not answer.
    """
    return _inventory(use_case, stage, landing, lake, writer, partition)


def _inventory(
    use_case: UseCase,
    stage: str,
    landing: Landing,
    lake: Lake,
    writer: Writer | None,
    partition: str | None,
) -> Inventory:
    pattern, grain = use_case.landing_of(stage), use_case.ingest.partition.grain
    if pattern is None:
        return Inventory(stage, "", {})
    began_ns = time.time_ns()
    listing = landing.list(pattern, grain, partition)
    table = lake.table(use_case.name, LANDED)
    known = _by_key(read_entries(table, stage))
    left: dict[str, FileUnavailable] = {}
    if writer is not None:
        young = _young(listing, known, began_ns)
        left = _moving(young, lambda: landing.list(pattern, grain, partition))

    def digest(file: LandedFile, known: Entry | None) -> tuple[str, str]:
        if file.size > MAX_FILE_BYTES:  # it is refused when it is ingested
            return f"too large: {file.identity}", file.identity
        uncertain = file.identity + UNCERTAIN
        if writer is None:
            same = known is not None and known.identity == uncertain
            return known.sha256 if known and same else f"not read: {file.identity}", ""
        certain = file.is_certain(time.time_ns())  # before it is read
        return landing.digest(file), file.identity if certain else uncertain

    looked = {key: entries for key, entries in known.items() if partition in (None, key)}
    retracted = _retractions(lake, use_case, stage)
    entries = _all_updated(
        looked, listing, digest, retracted, left, lake.table(use_case.name, stage)
    )
    if writer is not None and entries != looked:
        others = {key: held for key, held in known.items() if key not in looked}
        together = {**others, **entries}
        # Each look is news to the ledger, also the second one of an attempt. Ingestion is serial:
        # an attempt that was overtaken leaves at worst what the next look completes.
        last = replace(writer, token=next_token(lake, use_case.name))
        kept = [one for key in sorted(together) for one in together[key]]
        write_entries(table, stage, kept, last)
    # Also of a partition whose files are all gone: its rows stand, and may be made again.
    contents = {
        key: held
        for key in sorted({*listing.files, *entries})
        if key not in left
        and (held := contents_of(entries.get(key, []), listing.files.get(key, [])))
    }
    return Inventory(stage, pattern, contents, left, listing.sentences(pattern))


def _all_updated(
    known: Mapping[str, Sequence[Entry]],
    listing: Listing,
    digest: Digest,
    retracted: Mapping[str, datetime],
    left: dict[str, FileUnavailable],
    made: LakeTable,
) -> dict[str, list[Entry]]:
    """Bring each partition's entries up to date; what cannot be read is put into `left`."""
    now, entries = _later_than(known, retracted), {}
    for key in sorted({*known, *listing.files}):
        before = known.get(key, [])
        try:
            if key in left:
                raise left[key]
            entries[key] = updated(
                before,
                listing.files.get(key, []),
                key,
                digest=digest,
                retracted_at=retracted.get(key),
                now=now,
            )
        except FileUnavailable as error:
            left[key] = error
            entries[key] = list(before)
    missed = {key for key, held in entries.items() if any(_just_gone(entry, now) for entry in held)}
    # What was never ingested, because it was refused, has no rows that could be kept.
    held_ids = file_ids(made, {key or ALL for key in missed})
    for key in missed:
        entries[key] = [
            entry
            for entry in entries[key]
            if not _just_gone(entry, now) or entry.file_id in held_ids[key or ALL]
        ]
    return {key: held for key, held in entries.items() if held}


def _later_than(
    known: Mapping[str, Sequence[Entry]], retracted: Mapping[str, datetime]
) -> datetime:
    """Return the time of this look: later than all that it knows of, whatever our clock says.

    Another worker's clock may be ahead. What lands after a retraction must count as landed after
    it, and a correction after what it corrects.
    """
    before = [entry.first_seen for held in known.values() for entry in held]
    before += [entry.gone_at for held in known.values() for entry in held if entry.gone_at]
    last = max([*before, *retracted.values()], default=_EPOCH)
    return max(datetime.now(UTC), last + timedelta(microseconds=1))


def file_ids(table: LakeTable, keys: Collection[str]) -> dict[str, set[str]]:
    """Find the files that the rows of some partitions came from; rows of before tell none."""
    found: dict[str, set[str]] = {key: set() for key in keys}
    there = [key for key in table.partitions() if key in found] if found else []
    if there and FILE in table.schema().names:
        rows = table.read(there, [FILE, "partition"]).group_by([FILE, "partition"]).aggregate([])
        for row in rows.filter(pc.is_valid(rows[FILE])).to_pylist():
            found[row["partition"]].add(row[FILE])
    return found


def _just_gone(entry: Entry, now: datetime) -> bool:
    return entry.gone_at == now and entry.retracted_at is None


def _young(listing: Listing, known: Mapping[str, Sequence[Entry]], now_ns: int) -> dict[str, int]:
    """Partitions with an unknown file that was changed within `STILL_S`, or by a clock ahead."""
    young = {}
    for key, files in listing.files.items():
        seen = {(entry.path, entry.identity) for entry in known.get(key, ())}
        if any(
            now_ns - file.changed_ns < STILL_S * 1e9 and (file.name, file.identity) not in seen
            for file in files
        ):
            young[key] = as_seen(files)
    return young


def _moving(
    young: Mapping[str, int], look_again: Callable[[], Listing]
) -> dict[str, FileUnavailable]:
    """Find the young partitions that do not hold still from one look to a second one."""
    if not young:
        return {}
    stillness = Stillness(STILL_S)
    stillness.settled(young, time.monotonic())
    time.sleep(STILL_S)
    files = look_again().files
    seen = {key: as_seen(files[key]) for key in young if files.get(key)}
    still = stillness.settled(seen, time.monotonic())
    return {
        key: StillChanging(
            f"partition {key!r}: its files changed within the last {STILL_S:g} s, so they may "
            "still be being written. They are taken when they have held still."
        )
        for key in young
        if key not in still
    }


def _retractions(lake: Lake, use_case: UseCase, stage: str) -> dict[str, datetime]:
    """Return when each partition was last retracted; references are not."""
    table = lake.table(use_case.name, "retractions")
    if stage.startswith("reference_") or not table.exists():
        return {}
    last: dict[str, datetime] = {}
    for row in table.read(None, ["key", "retracted_at"]).to_pylist():
        last[row["key"]] = max(row["retracted_at"], last.get(row["key"], row["retracted_at"]))
    return last


def _by_key(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.key].append(entry)
    return dict(found)
