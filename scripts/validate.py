"""Check use cases and landed files without Airflow: configuration, own Python, files, expectations.

python -m scripts.validate
python -m scripts.validate --use-case customers --data ~/exports

The functions are those of the Dags, run on a lake that is thrown away: what passes here passes
there. The newest partition of each use case is checked, or all of them with `--all`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from include.annotate.choosing import choose_round
from include.due.stages import ALL
from include.errors import ConfigError, FlywheelError
from include.feature.build import build_partition
from include.ingest_label.ingest import ingest_labels, ingest_reference, ingest_rows
from include.ingest_label.landing import Landing
from include.label.rule_labels import label_partition
from include.lake.table import Lake, Writer
from include.registry.own_code import problems_of_own_code
from include.settings import Settings
from include.use_cases.gold import read_gold
from include.use_cases.loader import folder_of, load_all, place_of_key, root, shown
from include.use_cases.own_code import named_in
from include.use_cases.schema import UseCase
from include.validate_clean.validate import validate_and_clean
from scripts.quiet import quiet

_WRITER = Writer("validate", 1, 1, "validate")


@dataclass(frozen=True)
class Line:
    """One thing that was checked.

    Attributes
    ----------
    what : str
        Such as `rows of 2013-01`.
    found : str
        What there is, or what is wrong and what to do.
    fine : bool
        Whether it is as declared.
    """

    what: str
    found: str
    fine: bool = True


@dataclass(frozen=True)
class Check:
    """Landed files, brought through ingestion, validation and features.

    Attributes
    ----------
    use_case : UseCase
        What is checked.
    landing : Landing
        Where files are.
    lake : Lake
        Where the steps write; nobody reads it later.
    every : bool
        Check all partitions, not the newest of each table alone.
    """

    use_case: UseCase
    landing: Landing
    lake: Lake
    every: bool = False

    def lines(self) -> Iterator[Line]:
        """Tell what comes of each step."""
        ingest, labels = self.use_case.ingest, self.use_case.labels
        for name, reference in ingest.references.items():
            for partition in self._landed(reference.landing):
                yield _tried(f"reference {name}, {partition}", self._reference, name, partition)
        for partition in self._landed(labels.landing) if labels and labels.landed else []:
            yield _tried(f"labels of {partition}", self._labels, partition)
        for partition in self._landed(ingest.landing):
            steps = [
                ("rows", self._rows),
                ("expectations", self._expectations),
                ("features", self._features),
            ]
            if labels and labels.rules:
                steps.append(("rules", self._rules))
            if labels and labels.people:
                steps.append(("questions", self._questions))
            for what, step in steps:
                line = _tried(f"{what} of {partition}", step, partition)
                yield line
                if not line.fine:
                    break  # the next step needs this one
        yield from self._unknown_gold()
        yield from self._nothing_landed()

    def _landed(self, pattern: str) -> list[str]:
        grain = self.use_case.ingest.partition.grain
        found = [key or ALL for key in self.landing.partitions(pattern, grain)]
        return found if self.every else found[-1:]

    def _nothing_landed(self) -> Iterator[Line]:
        ingest, labels = self.use_case.ingest, self.use_case.labels
        patterns = [ingest.landing, *(each.landing for each in ingest.references.values())]
        patterns += [labels.landing] if labels else []
        for pattern in dict.fromkeys(patterns):
            if not self._landed(pattern):
                ignored = self.landing.ignored(pattern, ingest.partition.grain)
                why = f" Ignored: {'; '.join(ignored[:5])}." if ignored else ""
                yield Line(pattern, f"no file in {self.landing.uri}.{why}", fine=False)

    def _unknown_gold(self) -> Iterator[Line]:
        """Tell which gold items are no rows, where all partitions were looked at."""
        clean = self.lake.table(self.use_case.name, "clean")
        gold = read_gold(self.use_case, folder_of(self.use_case.name))
        ingest = self.use_case.ingest
        landed = self.landing.partitions(ingest.landing, ingest.partition.grain)
        if not gold or not clean.partitions() or len(clean.partitions()) < len(landed):
            return
        key = list(self.use_case.ingest.key)
        rows = {tuple(row.values()) for row in clean.read(None, key).to_pylist()}
        if unknown := [one for one, _ in gold if tuple(one.values()) not in rows]:
            found = (
                f"{len(unknown):,} of {len(gold):,} are no rows that landed and are clean, such as "
                f"{unknown[0]}. Correct the keys, or remove the lines."
            )
            yield Line("gold items", found, fine=False)
        else:
            yield Line("gold items", f"{len(gold):,}, all of them rows that landed")

    def _reference(self, name: str, partition: str) -> str:
        made = ingest_reference(self.use_case, name, partition, self.landing, self.lake, _WRITER)
        return f"{made.rows:,} rows"

    def _labels(self, partition: str) -> str:
        made = ingest_labels(self.use_case, partition, self.landing, self.lake, _WRITER)
        share = "" if made.positive_share is None else f", {made.positive_share:.1%} of class 1"
        if made.class_shares:
            rarest = min(made.class_shares, key=lambda name: made.class_shares[name])
            share = (
                f" of {len(made.class_shares)} classes, {made.class_shares[rarest]:.1%} of "
                f"{rarest!r}, the rarest"
            )
        return f"{made.rows:,} labels{share}, {made.without_outcome:,} rows without an outcome"

    def _rows(self, partition: str) -> str:
        made = ingest_rows(self.use_case, partition, self.landing, self.lake, _WRITER)
        return f"{made.rows:,} rows"

    def _expectations(self, partition: str) -> str:
        made = validate_and_clean(self.use_case, partition, self.lake, _WRITER)
        why = ", ".join(f"{count:,} {reason}" for reason, count in made.reasons.items())
        set_aside = f"{made.rows_quarantined:,} set aside" + (f" ({why})" if why else "")
        return f"{made.rows_clean:,} of {made.rows_in:,} rows clean, {set_aside}"

    def _features(self, partition: str) -> str:
        made = build_partition(self.use_case, partition, self.lake, _WRITER)
        return f"{len(made.columns)} columns"

    def _rules(self, partition: str) -> str:
        made = label_partition(self.use_case, partition, self.lake, _WRITER)
        told = "; ".join(each.told for each in made.functions)
        return f"{made.labelled:,} of {made.rows:,} rows labelled: {told}"

    def _questions(self, partition: str) -> str:
        read = self.landing.read_path
        made = choose_round(self.use_case, partition, self.lake, _WRITER, read=read)
        shown = sum(one.picture is not None for one in made.items)
        pictures = f", {shown:,} with a picture" if shown else ""
        return made.why_not or f"{len(made.items):,} items would be asked about{pictures}"


def _tried(what: str, step: Callable[..., str], *about: str) -> Line:
    try:
        return Line(what, step(*about))
    except FlywheelError as error:
        return Line(what, str(error), fine=False)


def main(arguments: list[str] | None = None) -> int:
    """Check and print; exit code 1 when something is not as declared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--use-case", help="this one alone (default: all)")
    parser.add_argument("--data", help="folder of files (default: the landing area)")
    parser.add_argument("--all", action="store_true", help="all partitions, not the newest alone")
    options = parser.parse_args(arguments)
    fine = True
    try:
        with quiet():
            for name, line in _lines(options.use_case, options.data, every=options.all):
                fine = fine and line.fine
                mark = "ok  " if line.fine else "FAIL"
                print(f"{mark} {name}: {line.what}: {line.found}", flush=True)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if fine else 1


def _lines(only: str | None, data: str | None, *, every: bool) -> Iterator[tuple[str, Line]]:
    settings, loaded = Settings.from_env(), load_all()
    if only is not None and only not in {*loaded.use_cases, *loaded.broken}:
        names = sorted({*loaded.use_cases, *loaded.broken})
        raise ConfigError(f"There is no use case {only!r} in {shown(root())}; there are {names}.")
    landing = Landing(data or settings.landing_uri, settings.storage_options())
    for name, error in loaded.broken.items():
        if only in (None, name):
            yield name, Line("configuration", str(error), fine=False)
    for name, use_case in loaded.use_cases.items():
        if only not in (None, name):
            continue
        yield name, Line("configuration", "valid")
        for line in _own_code(use_case):
            yield name, line
        with tempfile.TemporaryDirectory(prefix="flywheel-validate-") as folder:
            lake = Lake(str(Path(folder) / "lake"))
            for line in Check(use_case, landing, lake, every).lines():
                yield name, line


def _own_code(use_case: UseCase) -> Iterator[Line]:
    """Run its own estimators and its own metric on a sample."""
    wrong = dict(problems_of_own_code(use_case))
    for key, name in named_in(use_case).items():
        if key in wrong:
            place = place_of_key(root() / use_case.name, key)
            yield Line("own code", f"{place}: {key}: {wrong[key]}", fine=False)
        else:
            yield Line("own code", f"{name} passes its checks on a sample")


if __name__ == "__main__":
    sys.exit(main())
