"""Lineage as text for people: at most a screen or two, however long the history is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from include.labelling.publishing import LABELLED_BY
from include.lineage.commits import Gap, Step
from include.lineage.trace import MADE_IN_ORDER, ModelLineage, PartitionLineage
from include.registry.ledger import REFIT_OF

MOST = 14
"""Lines of one list; of a longer one the first and the last are shown."""


def model_text(lineage: ModelLineage) -> str:
    """Write a model's lineage: what it is, what it learned from, what it made."""
    tags, prepared = lineage.tags, lineage.prepared
    partitions = prepared["partitions"]
    blocks = [
        [
            f"{lineage.use_case}, model version {lineage.version}: {tags.get('candidate', '?')}",
            f"  registered  {_moment(lineage.registered_at)}, package sha256 "
            f"{_short(tags.get('package_sha256'))}",
            *_trained(lineage),
            f"  by          MLflow run {prepared['run_id']}, code {tags.get('code_version', '?')}, "
            f"lock {tags.get('lock_hash', '?')}",
            f"  verdict     {tags.get('verdict', 'none yet')}",
        ],
        ["Learned from (version of each table)", *_table(lineage.sources, partitions)],
        ["Made by", *_makers(lineage.sources)],
        _labelled_by(lineage.sources),
        _references(lineage.sources),
        _gaps(lineage.gaps),
        [
            "Served",
            *_bounded(
                f"  entry {each.number} of the ledger, {_moment(each.promoted_at)}: version "
                f"{each.version} instead of {each.previous or 'none'}, by {each.who}: {each.why}"
                for each in lineage.promotions
            ),
        ],
        ["Predicted", *_bounded(_made(step, lineage.version) for step in lineage.predictions)],
        ["Monitored", *_bounded(_monitored(step) for step in lineage.monitoring)],
    ]
    return _joined(blocks)


def _trained(lineage: ModelLineage) -> list[str]:
    prepared, refit_of = lineage.prepared, lineage.tags.get(REFIT_OF)
    partitions = prepared["partitions"]
    holdout = prepared.get("holdout_partitions") or partitions[-1:]
    learned = partitions[: -len(holdout)]
    if refit_of is not None:
        return [
            f"  trained     as of {prepared['as_of']}, on {_span(partitions)}",
            f"  judged      as version {refit_of}, of which it is the refit, on {_span(holdout)}",
        ]
    return [
        f"  trained     as of {prepared['as_of']}, on {_span(learned)}, judged on {_span(holdout)}"
    ]


def partition_text(lineage: PartitionLineage) -> str:
    """Write a partition's lineage: what it is made of, and what learned from it."""
    blocks = [
        [f"{lineage.use_case}, partition {lineage.partition}"],
        ["Made, in this order", *(line for step in lineage.steps for line in _whole(step))],
        _labelled_by(lineage.steps),
        _references(lineage.references),
        _gaps(lineage.gaps),
        [
            "Learned from it",
            *_bounded(
                f"  version {each.version} as of {each.as_of}, as {each.part}"
                + ("" if each.as_it_is else "; its rows have changed since")
                for each in lineage.models
            ),
        ],
        ["Scored by", *_bounded(f"  version {each}" for each in lineage.scored_by)],
    ]
    return _joined(blocks)


def _table(steps: Sequence[Step], partitions: Sequence[str]) -> list[str]:
    stages = ("raw", "clean", "features", "labels")
    at = {(step.stage, step.partition): step for step in steps}
    widths = [max([len("partition"), *map(len, partitions)]), 10, 10, 10, 10, 10]

    def line(cells: Iterable[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"  {'  '.join(padded)}".rstrip()

    def row(partition: str) -> str:
        found = [at.get((stage, partition)) for stage in stages]
        landed = found[0].landing if found[0] else None
        cells = [f"v{step.version}" if step else "-" for step in found]
        return line([partition, _short(landed), *cells])

    return [line(["partition", "landed", *stages]), *_bounded(row(each) for each in partitions)]


def _makers(steps: Sequence[Step]) -> list[str]:
    """Write which code and definition made which partitions, table by table."""
    groups: dict[tuple[str, str, str], list[Step]] = {}
    for step in steps:
        if not step.stage.startswith("reference_"):
            key = (step.stage, step.code_version, step.definition or "")
            groups.setdefault(key, []).append(step)
    return _bounded(
        f"  {stage.ljust(10)}{_span(sorted(step.partition for step in made))}: code {code}, "
        f"definition {_short(definition)}\n    last {_by(max(made, key=lambda step: step.at))}"
        for (stage, code, definition), made in sorted(
            groups.items(), key=lambda group: MADE_IN_ORDER.index(group[0][0])
        )
    )


def _by(step: Step) -> str:
    return f"{_moment(step.at)} by {step.run_id}"


def _labelled_by(steps: Sequence[Step]) -> list[str]:
    """Write which people labelled how many rows of each partition."""
    lines = _bounded(
        f"  {step.partition}: {step.facts[LABELLED_BY]}"
        for step in steps
        if LABELLED_BY in step.facts
    )
    return ["Labelled by people", *lines] if lines else []


def _references(steps: Sequence[Step]) -> list[str]:
    found = [step for step in steps if step.stage.startswith("reference_")]
    lines = _bounded(
        f"  {step.stage.removeprefix('reference_')} ({step.partition}): v{step.version}, "
        f"{step.rows} rows, landed {_short(step.landing)}, {_moment(step.at)}"
        for step in found
    )
    return ["References", *lines] if found else []


def _gaps(gaps: Sequence[Gap]) -> list[str]:
    lines = _bounded(f"  {gap.because}" for gap in gaps)
    return ["Cannot be followed further", *lines] if gaps else []


def _whole(step: Step) -> list[str]:
    made_of = ", ".join(f"{read.table} v{read.version}" for read in step.inputs)
    landed = f"landed files {step.landing}" if step.landing else ""
    definition = f", definition {step.definition}" if step.definition else ""
    files = (
        f"    {file['path']}, sha256 {_short(file['sha256'])}, landed {_moment(file['first_seen'])}"
        for file in step.files
    )
    return [
        f"  {step.table} v{step.version}, {step.rows} rows, {_moment(step.at)}",
        f"    from {made_of or landed or 'what its run was given'}{definition}",
        f"    by {step.run_id}, code {step.code_version}",
        *_bounded(files),
    ]


def _made(step: Step, version: str) -> str:
    return (
        f"  {step.partition}: {step.rows} rows with version {version}, v{step.version}, "
        f"{_moment(step.at)}"
    )


def _monitored(step: Step) -> str:
    verdict = step.facts.get("verdict", "?")
    return f"  {step.partition}: {verdict}, v{step.version}, {_moment(step.at)}"


def _bounded(lines: Iterable[str]) -> list[str]:
    """Keep the first and the last of many lines; `  none` when there are none."""
    every = list(lines)
    if len(every) <= MOST:
        return every or ["  none"]
    half = MOST // 2
    between = f"  ... {len(every) - 2 * half} more: add JSON=1 (--json) for all"
    return [*every[:half], between, *every[-half:]]


def _joined(blocks: Iterable[list[str]]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _span(keys: Sequence[str]) -> str:
    if not keys:
        return "nothing"
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]} ({len(keys)} partitions)"


def _short(digest: Any) -> str:
    return str(digest)[:8] if digest else "-"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
