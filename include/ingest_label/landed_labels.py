"""The strategies `outcome` and `column`: labels read off landed files."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.ingest_label.intake import Intake
from include.labelling.contract import SAID, SOURCE, STRATEGY, labels_schema
from include.labelling.history import LabelHistory
from include.lake.schemas import FILE
from include.use_cases.schema import Labels, UseCase


@dataclass(frozen=True)
class LandedLabels:
    """Labels of one partition, each from the landed file that `_file` names.

    Attributes
    ----------
    use_case : UseCase
        Whose labels.
    section : Labels
        Its `labels`.
    made : Table
        Rows of the labels table, each with a label and a file.
    """

    use_case: UseCase
    section: Labels
    made: pa.Table

    @property
    def strategy(self) -> str:
        """`outcome` or `column`."""
        return self.section.strategy

    def labels(self) -> pa.Table:
        """Give them: the file is the source, and what landed is taken as certain."""
        rows = self.made.select(labels_schema(self.use_case, self.section).names)
        said = [self.made[FILE], pa.repeat(1.0, rows.num_rows)]
        for column, values in zip(SAID, said, strict=True):
            rows = rows.append_column(column, values)
        return rows


def kept_labels(intake: Intake, history: LabelHistory) -> pa.Table:
    """Read what landed before, in the columns of the intake: files may be gone that it came from.

    Not of the table `labels`: there another strategy may have taken precedence.
    """
    known = history.known(intake.partition)
    landed = known.filter(pc.equal(known[STRATEGY], history.strategy))
    names = [SOURCE if name == FILE else name for name in intake.schema.names]
    return landed.select(names).rename_columns(intake.schema.names).cast(intake.schema)
