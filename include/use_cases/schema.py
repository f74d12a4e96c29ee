"""What a `use_case.yaml` may say: one strict, frozen pydantic model.

Unknown keys are refused, so a misspelt key is an error and never a silently ignored wish. Every
key here is read by a phase: a key that does nothing does not exist.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PrivateAttr, model_validator

from include.strict import Strict
from include.use_cases.coherence import problems_of
from include.use_cases.own_code import named_in
from include.use_cases.python_package import OwnPython
from include.use_cases.sections.ingest import Corrections, Ingest, Migration, Partition, Reference
from include.use_cases.sections.labels import Labels, completed
from include.use_cases.sections.operation import (
    Approval,
    Deploy,
    Expect,
    Monitor,
    Retrain,
    Serve,
    Slices,
)
from include.use_cases.sections.preparation import Clean, Features, Validate
from include.use_cases.sections.training import Split, Train, Tuning
from include.use_cases.sections.values import Columns, ColumnType, Grain
from include.use_cases.spaces import ESTIMATORS, METRICS, Candidate, Span, Task

__all__ = [
    "ESTIMATORS",
    "METRICS",
    "Approval",
    "Candidate",
    "Clean",
    "ColumnType",
    "Columns",
    "Corrections",
    "Deploy",
    "Features",
    "Grain",
    "Ingest",
    "Labels",
    "Migration",
    "Monitor",
    "Partition",
    "Reference",
    "Retrain",
    "Serve",
    "Slices",
    "Span",
    "Split",
    "Task",
    "Train",
    "Tuning",
    "UseCase",
    "Validate",
]

HELD_OUT_DAYS = 10
"""How many independent days the gate needs: `include.modelling.uncertainty.MIN_BLOCKS`, which is
not imported here, because it would load scipy into every Dag file."""


class UseCase(Strict):
    """One prediction problem, whole."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(
        description="Given by the folder; not written in the YAML."
    )
    task: Task
    description: str
    owner: str
    ingest: Ingest
    labels: Labels | None = None
    validation: Validate = Field(default=Validate(), alias="validate")
    clean: Clean = Clean()
    features: Features
    train: Train
    deploy: Deploy = Deploy()
    monitor: Monitor = Monitor()
    serve: Serve = Serve()
    expect: Expect = Expect()
    retrain: Retrain
    migrations: list[Migration] = Field(
        default_factory=list,
        description="Columns whose type was changed, oldest first. Keep them as long as a lake "
        "may still hold the former type.",
    )
    _python: OwnPython | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _labels_follow_rows(cls, content: Any) -> Any:
        """Take what labels do not say from the rows: types of shared columns, shared files."""
        ingest, labels = content.get("ingest"), content.get("labels")
        if not (isinstance(ingest, dict) and isinstance(labels, dict)):
            return content  # the sections' own checks say why
        return {**content, "labels": completed(labels, ingest)}

    @model_validator(mode="after")
    def _coherent(self) -> UseCase:
        """Check what one section says against the others."""
        problems = problems_of(self)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, by their numbers, where there are three or more.

        Empty for two classes, which are 0 and 1, and where nothing is classified.
        """
        classes = None if self.labels is None else self.labels.classes
        return classes if isinstance(classes, list) else []

    @property
    def time_input(self) -> str | None:
        """The input that says when a row was: it is joined with references as they were then."""
        return next((name for name in self.times if name in self.features.inputs), None)

    @property
    def times(self) -> list[str]:
        """The columns that say when a row was: what splits, and what partitions; may be none."""
        named = (self.train.split.time, self.ingest.partition.column)
        return list(dict.fromkeys(name for name in named if name is not None))

    @property
    def resample_by(self) -> str:
        """What makes rows depend on each other: `deploy.resample_by`, or what follows of it."""
        split = self.train.split
        return self.deploy.resample_by or ("day" if split.time else split.group or "rows")

    @property
    def held_out(self) -> int:
        """How many partitions are held out whole: so that the gate has independent days."""
        if self.train.split.time is None:
            return 0  # of each partition a share is held out
        daily = self.ingest.partition.grain == "day" and self.resample_by == "day"
        return HELD_OUT_DAYS if daily else 1

    @property
    def partitions_needed(self) -> int:
        """How many labelled partitions a training needs."""
        return max(self.train.min_partitions, self.held_out + 1)

    def landing_of(self, table: str) -> str | None:
        """Where the files of a table land; None for the labels of a use case without any.

        Parameters
        ----------
        table : {'raw', 'labels', 'reference_<name>'}
            A table that is filled from landed files.
        """
        if table == "raw":
            return self.ingest.landing
        if table == "labels":
            return self.labels.landing if self.labels else None
        return self.ingest.references[table.removeprefix("reference_")].landing

    @property
    def python(self) -> OwnPython | None:
        """Its own Python, where ``train`` names own estimators or an own metric; else None."""
        return self._python

    def with_python(self, python: OwnPython) -> UseCase:
        """Return this use case with the Python that its own names are looked up in."""
        if not named_in(self):
            return self
        changed = self.model_copy()
        changed._python = python
        return changed

    def with_trials(self, trials: int | None) -> UseCase:
        """Return this use case with another number of trials a candidate; None changes none."""
        if trials is None:
            return self
        tuning = self.train.tuning.model_copy(update={"trials": trials})
        train = self.train.model_copy(update={"tuning": tuning})
        return self.model_copy(update={"train": train})
