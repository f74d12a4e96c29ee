"""From a model back to the files that it learned from, and on to what it made; and of a partition.

Facts come from the lake's commits, the registry and the promotion ledger alone: nothing is computed
again, and nothing is read of the working tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from include.errors import DataContractError
from include.lake.pins import pin_of
from include.lake.table import Lake
from include.lineage.commits import Commits, Gap, Step
from include.registry.client import Registry
from include.registry.ledger import Ledger, Promotion
from include.train_tune.prepare import Prepared, recall

_Found = TypeVar("_Found", Step, Gap)

MADE_IN_ORDER = ("raw", "labels", "clean", "features", "predictions", "monitoring", "decisions")
"""Tables whose partitions are those of the use case, in the order in which they are made."""


@dataclass(frozen=True)
class Learned:
    """A model version that learned from a partition.

    `part` is `training` or `holdout`; `as_it_is` says whether the partition's features and labels
    are still what the model learned from.
    """

    version: str
    part: str
    as_of: str
    as_it_is: bool


@dataclass(frozen=True)
class ModelLineage:
    """Where a model version came from, and what came of it.

    Attributes
    ----------
    use_case, version : str
        Which model.
    registered_at : str
        ISO, UTC.
    tags : dict of str to str
        Of the version: candidate, metric, package_sha256, code version, lock, verdict.
    prepared : dict
        What the training was pinned to, without the texts of its configuration and Python.
    sources : list of Step
        Publishes that it learned from, the newest tables first.
    gaps : list of Gap
        Where that can be followed no further.
    promotions : list of Promotion
        Ledger entries that made it champion, or another one in its place.
    predictions, monitoring : list of Step
        Partitions that it scored, and that were monitored with its predictions.
    """

    use_case: str
    version: str
    registered_at: str
    tags: dict[str, str]
    prepared: dict[str, Any]
    sources: list[Step]
    gaps: list[Gap]
    promotions: list[Promotion]
    predictions: list[Step]
    monitoring: list[Step]


@dataclass(frozen=True)
class PartitionLineage:
    """What a partition is made of in each table, and which models learned from it.

    Attributes
    ----------
    use_case, partition : str
        Which.
    steps : list of Step
        Its newest publish in each table, in the order in which they are made.
    references : list of Step
        References that its features were joined with.
    gaps : list of Gap
        References that can be followed no further.
    models : list of Learned
        Model versions that learned from it, or were judged on it.
    scored_by : list of str
        Model versions that predicted it, the newest first.
    """

    use_case: str
    partition: str
    steps: list[Step]
    references: list[Step]
    gaps: list[Gap]
    models: list[Learned]
    scored_by: list[str]


def model_lineage(
    use_case: str, version: str, lake: Lake, registry: Registry, ledger: Ledger
) -> ModelLineage:
    """Trace a model version back to what landed, and on to what it made.

    Raises
    ------
    DataContractError
        There is no such version, or its training was prepared by an earlier release.
    """
    details = _details(use_case, version, registry)
    prepared = recall(registry, details["run_id"])
    commits = Commits(lake, use_case)
    sources, gaps = _sources(commits, prepared)
    predictions = [
        step
        for step in _of_any_time(commits, "predictions")
        if step.facts.get("model_version") == version
    ]
    ours = {(step.partition, step.version) for step in predictions}
    monitoring = [
        step
        for step in commits.steps("monitoring")
        if any((step.partition, made.version) in ours for made in _read(commits, step))
    ]
    shown = asdict(prepared)
    del shown["configuration"], shown["python"]
    created = datetime.fromtimestamp(details["created_ms"] / 1000, UTC)
    return ModelLineage(
        use_case=use_case,
        version=version,
        registered_at=created.isoformat(timespec="seconds"),
        tags=details["tags"],
        prepared=shown,
        sources=sources,
        gaps=gaps,
        promotions=[each for each in ledger.entries() if version in (each.version, each.previous)],
        predictions=_newest(predictions),
        monitoring=monitoring,
    )


def partition_lineage(
    use_case: str, partition: str, lake: Lake, registry: Registry
) -> PartitionLineage:
    """Trace a partition through all tables, and to the models that learned from it.

    Raises
    ------
    DataContractError
        No table has such a partition.
    """
    commits = Commits(lake, use_case)
    found = [commits.at(f"{use_case}.{stage}", partition) for stage in MADE_IN_ORDER]
    steps = [step for step in found if step is not None]
    if not steps:
        there = sorted({key for stage in MADE_IN_ORDER for key in _keys(lake, use_case, stage)})
        raise DataContractError(
            f"{use_case}/{partition}: no table of the lake has this partition; there "
            f"{f'are {there[0]} to {there[-1]}' if there else 'is none yet'}. Correct the name, or "
            f"start {use_case}__ingest_label."
        )
    references: list[Step] = []
    gaps: list[Gap] = []
    for read in [read for step in steps if step.stage == "features" for read in step.inputs]:
        if ".reference_" in read.table:
            trail = commits.upstream(read, partition)
            references += trail.steps
            gaps += trail.gaps
    scored = [step for step in _of_any_time(commits, "predictions") if step.partition == partition]
    return PartitionLineage(
        use_case=use_case,
        partition=partition,
        steps=steps,
        references=_unique(references),
        gaps=_unique(gaps),
        models=_learned(commits, partition, registry),
        scored_by=list(dict.fromkeys(str(step.facts.get("model_version")) for step in scored)),
    )


def _details(use_case: str, version: str, registry: Registry) -> dict[str, Any]:
    present = registry.versions(use_case)
    if version not in present:
        raise DataContractError(
            f"{use_case}/{version}: the registry has no such model version; there "
            f"{f'are {_list(present)}' if present else 'is none yet'}. Name one of these, or start "
            f"{use_case}__train_tune."
        )
    return registry.details(use_case, version)


def _sources(commits: Commits, prepared: Prepared) -> tuple[list[Step], list[Gap]]:
    steps: list[Step] = []
    gaps: list[Gap] = []
    for pin in map(pin_of, prepared.inputs):
        for partition in prepared.partitions:
            trail = commits.upstream(pin, partition)
            steps += trail.steps
            gaps += trail.gaps
    return _unique(steps), _unique(gaps)


def _learned(commits: Commits, partition: str, registry: Registry) -> list[Learned]:
    found = []
    for version in registry.versions(commits.use_case):
        details = registry.details(commits.use_case, version)
        if details["tags"].get("as_of", partition) < partition:
            continue
        try:
            prepared = recall(registry, details["run_id"])
        except DataContractError:
            continue  # of an earlier release: it does not say which partitions it used
        if partition in prepared.partitions:
            held_out = prepared.holdout_partitions or [prepared.holdout_partition]
            part = "holdout" if partition in held_out else "training"
            as_it_is = _as_it_is(commits, partition, prepared)
            found.append(Learned(version, part, prepared.as_of, as_it_is))
    return found


def _as_it_is(commits: Commits, partition: str, prepared: Prepared) -> bool:
    """Whether the pinned rows of a partition are those that its tables hold now."""
    for pin in map(pin_of, prepared.inputs):
        stage = pin.table.partition(".")[2]
        if stage not in ("features", "labels"):
            continue
        table = commits.lake.table(commits.use_case, stage)
        try:
            table.check_pin(pin)
        except DataContractError:
            return False
        then, now = (table.partition_versions([partition], at) for at in (pin.version, None))
        if then != now:
            return False
    return True


def _of_any_time(commits: Commits, stage: str) -> list[Step]:
    """Return every publish of a stage with rows, the newest first."""
    table = f"{commits.use_case}.{stage}"
    return [commits.step(table, record) for record in commits.history(table) if record.get("rows")]


def _read(commits: Commits, step: Step) -> list[Step]:
    """Return the predictions that a monitored partition was made from."""
    reads = [read for read in step.inputs if read.table.endswith(".predictions")]
    return [found for read in reads for found in commits.found(read, step.partition)]


def _newest(steps: Iterable[Step]) -> list[Step]:
    """Return the first of each partition, of steps that come newest first; sorted by partition."""
    newest: dict[str, Step] = {}
    for step in steps:
        newest.setdefault(step.partition, step)
    return [newest[key] for key in sorted(newest)]


def _unique(found: list[_Found]) -> list[_Found]:
    return list({repr(each): each for each in found}.values())


def _keys(lake: Lake, use_case: str, stage: str) -> list[str]:
    return lake.table(use_case, stage).partitions()


def _list(versions: list[str], most: int = 10) -> str:
    shown = ", ".join(versions[-most:])
    return shown if len(versions) <= most else f"{shown} (the newest of {len(versions)})"
