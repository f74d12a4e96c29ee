"""From the history to the table `labels`: one label per key, by declared precedence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError, bounded
from include.labelling.contract import (
    PEOPLE,
    SOURCE,
    STRATEGY,
    LabelSource,
    chosen_fields,
    claims_schema,
    completed,
    labels_schema,
    ranked,
)
from include.labelling.history import LabelHistory
from include.labelling.people import PeopleLabels
from include.lake.corrections import standing
from include.lake.records import Fact
from include.lake.schemas import CHOSEN, CONFIDENCE, FILE
from include.lake.table import Input, Published, Writer
from include.use_cases.schema import Labels, UseCase
from include.use_cases.sections.labels import LANDED

LABELLED_BY = "labelled_by"
"""Fact of a publish of labels: how many rows which annotators labelled."""


def publish_labels(
    source: LabelSource,
    history: LabelHistory,
    partition: str,
    writer: Writer,
    *,
    inputs: Sequence[Input] = (),
    consumed: Mapping[str, int] | None = None,
    facts: Mapping[str, Fact] | None = None,
) -> Published:
    """Record what a strategy says, and publish the labels that stand now.

    The history comes first: should this attempt end in between, the partition is still due, and the
    next one finds nothing new to record. The table `labels` has the columns of `labels_schema`,
    `_file`, which is null where no file gave the label, where people are asked `_chosen`, and where
    `train.label_confidence` is 'weight' `_confidence`.

    Parameters
    ----------
    source : LabelSource
        What one strategy says of this partition.
    history : LabelHistory
        What it and the others said before.
    partition : str
        The partition's key.
    writer : Writer
        Who publishes.
    inputs, consumed, facts : optional
        As for `LakeTable.publish`.

    Raises
    ------
    DataContractError
        No strategy has a label for any row, or the labels cannot be made.
    StaleAttempt
        A later attempt was faster.
    """
    use_case, labels = history.use_case, history.use_case.labels
    assert labels is not None  # noqa: S101  for mypy: a source has labels
    claims = completed(source.labels(), claims_schema(use_case, labels))
    known, given = history.known(partition), {source.strategy: claims}
    if PEOPLE in labels.strategies and source.strategy != PEOPLE:
        # Not as they are known: a class that was renamed or moved has another number now.
        given[PEOPLE] = PeopleLabels.of(use_case, partition, history.lake).labels()
    said = _standing_claims(labels, given, known)
    rows = _resolved(use_case, labels, source.strategy, claims, said)
    if rows.num_rows == 0:
        raise DataContractError(
            f"{use_case.name}: no strategy of {labels.strategies} has a label for any row of "
            f"{partition}. Nothing was published. Correct the rules, or land outcomes."
        )
    for strategy, told in given.items():
        history.record(partition, strategy, told, writer)
    facts = {**(facts or {}), **_people(use_case, rows, given.get(PEOPLE))}
    rows = _chosen_for_the_label(use_case, rows, said)
    return history.lake.table(use_case.name, "labels").publish(
        rows,
        partition=partition,
        schema=rows.schema,
        writer=writer,
        inputs=inputs,
        consumed=consumed,
        facts=facts,
        origin=[FILE],
        migrations=use_case.migrations,
    )


def _standing_claims(
    labels: Labels, now: Mapping[str, pa.Table], known: pa.Table
) -> dict[str, pa.Table]:
    """Give what each strategy says that has a label for any row.

    What strategies say `now` counts instead of what is known of them.
    """
    # A strategy that was removed from the YAML no longer counts.
    before = {
        other: known.filter(pc.equal(known[STRATEGY], other))
        for other in pc.unique(known[STRATEGY]).to_pylist()
        if other in labels.strategies
    }
    return {name: said for name, said in {**before, **now}.items() if said.num_rows}


def _resolved(
    use_case: UseCase,
    labels: Labels,
    strategy: str,
    claims: pa.Table,
    said: Mapping[str, pa.Table],
) -> pa.Table:
    """Choose the label of each key: of the strategies that have one, that of highest precedence."""
    if set(said) <= {strategy}:
        return _published(use_case, labels, strategy, claims)  # as it landed, in that order
    lowest_first = reversed(ranked(list(said), labels.precedence))
    rows = pa.concat_tables(_published(use_case, labels, one, said[one]) for one in lowest_first)
    key = use_case.ingest.key
    # In one order, whichever strategy was the last to publish: equal rows have equal versions.
    chosen = rows.take(standing(rows, key)).sort_by([(name, "ascending") for name in key])
    return chosen.combine_chunks()


def _chosen_for_the_label(
    use_case: UseCase, rows: pa.Table, said: Mapping[str, pa.Table]
) -> pa.Table:
    """Keep `_chosen` where people alone have a label for a row.

    A row that another strategy labels would be in the table without people, too. If those that a
    policy chose were not judged on, which are the hard ones, the others would be too easy.
    """
    key = use_case.ingest.key
    others = [table.select(key) for strategy, table in said.items() if strategy != PEOPLE]
    if PEOPLE not in said or not others:
        return rows
    anyway = pa.concat_tables(others).group_by(key).aggregate([])
    alone = rows.join(anyway, key, join_type="left anti").select(rows.column_names)
    both = rows.join(anyway, key, join_type="left semi").select(rows.column_names)
    at = rows.schema.get_field_index(CHOSEN)
    both = both.set_column(at, rows.schema.field(at), pa.nulls(both.num_rows, pa.string()))
    made = pa.concat_tables([alone, both]).sort_by([(name, "ascending") for name in key])
    return made.combine_chunks()


def _people(use_case: UseCase, rows: pa.Table, said: pa.Table | None) -> dict[str, Fact]:
    """Say who labelled how many of the rows, for lineage; nothing where people labelled none."""
    if said is None:
        return {}
    key = use_case.ingest.key
    theirs = rows.filter(pc.is_valid(rows[CHOSEN])).select(key)
    sources = said.select([*key, SOURCE]).join(theirs, key, join_type="left semi")[SOURCE]
    counts = {row["values"]: row["counts"] for row in pc.value_counts(sources).to_pylist()}
    told = "; ".join(f"{counts[who]} by {who}" for who in sorted(counts, key=str))
    return {LABELLED_BY: bounded(told, 500)} if counts else {}


def _published(use_case: UseCase, labels: Labels, strategy: str, rows: pa.Table) -> pa.Table:
    file = rows[SOURCE] if strategy in LANDED else pa.nulls(rows.num_rows, pa.string())
    fields = [*labels_schema(use_case, labels), *chosen_fields(labels)]
    if use_case.train.label_confidence == "weight":
        fields.append(pa.field(CONFIDENCE, pa.float64()))
    columns = [*(rows[one.name] for one in fields), file]
    schema = pa.schema([*fields, pa.field(FILE, pa.string())])
    made = pa.table(columns, names=schema.names)
    return made.cast(schema).combine_chunks()
