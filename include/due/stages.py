"""The stages of the wheel, each declared once: who makes it, from what, and by which of our code.

Everything that walks the wheel derives from this: what is due and what is out of date, which phases
can be rebuilt, what a retraction clears. It imports nothing, so a Dag file may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

REFERENCE = "reference"
"""Stands for the tables `reference_<name>`: one for each reference of a use case."""

ALL = "all"
"""The one partition of a reference that lands whole."""

LANDING = "landing"
"""Name under which a result notes the fingerprint of the landed files that it was made from."""


@dataclass(frozen=True)
class Stage:
    """One table of the lake, or the training.

    Attributes
    ----------
    name : str
        The table, such as `clean`.
    phase : str
        The Dag that makes it.
    asset : str
        Name within the use case of the asset whose event starts that phase.
    made_from : tuple of str
        Other stages that it is made from; the first gives its partitions. Empty for what landed.
    code_version : int
        Version of our own code, raised by hand when a change of `modules` changes what is computed
        from the same input. It is part of the definition, so raising it puts every partition that
        was made before out of date. (The idea is Dagster's `code_version`.)
    modules : tuple of str
        Modules whose change should make a person think of `code_version`: a test reminds.
    beside : tuple of str
        Tables that the phase writes in the same run.
    holds_rows : bool
        Whether a partition of it holds what landed for that partition, so that a retraction clears
        it.
    rebuilt : bool
        Whether the Dag `rebuild` can make it again.
    """

    name: str
    phase: str
    asset: str
    made_from: tuple[str, ...]
    code_version: int
    modules: tuple[str, ...]
    beside: tuple[str, ...] = ()
    holds_rows: bool = True
    rebuilt: bool = True


_FILES = (
    "include.ingest_label.cells",
    "include.ingest_label.checks",
    "include.ingest_label.compressed",
    "include.ingest_label.delimited",
    "include.ingest_label.files",
    "include.ingest_label.gathering",
    "include.ingest_label.ingest",
    "include.ingest_label.intake",
    "include.ingest_label.inventory",
    "include.ingest_label.json_lines",
    "include.ingest_label.landed",
    "include.ingest_label.parquet_files",
    "include.ingest_label.written_cells",
    "include.lake.corrections",
)
_RESOLVED = (
    "include.labelling.contract",
    "include.labelling.history",
    "include.labelling.publishing",
)
_ALGORITHMS = tuple(
    f"include.algorithms.{file.stem}"
    for file in sorted((Path(__file__).parents[1] / "algorithms").glob("*.py"))
    if file.stem != "__init__"
)
_JUDGED = (
    "include.modelling.class_formulas",
    "include.modelling.clusters",
    "include.modelling.formulas",
    "include.modelling.metrics",
    "include.modelling.scoring",
    "include.modelling.weights",
)

_DECLARED = (
    Stage("raw", "ingest_label", "landing", (), code_version=1, modules=_FILES),
    Stage(
        REFERENCE,
        "ingest_label",
        "landing",
        (),
        code_version=1,
        modules=(*_FILES, "include.ingest_label.outcomes"),
        holds_rows=False,  # other partitions may need it
    ),
    Stage(
        "clean",
        "validate_clean",
        "raw",
        ("raw",),
        code_version=1,
        modules=(
            "include.lake.corrections",
            "include.modelling.cleaning",
            "include.validate_clean.cleaning",
            "include.validate_clean.expectations",
            "include.validate_clean.local_date",
            "include.validate_clean.validate",
        ),
        beside=("quarantine",),
    ),
    Stage(
        "votes",
        "label",
        "features",
        ("clean",),
        code_version=1,
        modules=(
            "include.label.functions",
            "include.label.predicates",
            "include.label.rule_labels",
            "include.label.summary",
            "include.labelling.label_model",
            *_RESOLVED,
        ),
    ),
    Stage(
        "labels",
        "ingest_label",
        "landing",
        (),
        code_version=1,
        modules=(
            *_FILES,
            "include.ingest_label.landed_labels",
            "include.ingest_label.outcomes",
            *_RESOLVED,
        ),
    ),
    Stage(
        "features",
        "feature",
        "clean",
        ("clean", REFERENCE),
        code_version=1,
        modules=(
            "include.feature.build",
            "include.lake.frames",
            "include.modelling.features",
            "include.modelling.references",
        ),
    ),
    Stage(
        "label_rounds",
        "annotate",
        "features",
        ("features",),
        code_version=1,
        modules=(
            "include.annotate.choosing",
            "include.annotate.guesses",
            "include.annotate.pictures",
            "include.annotate.publish",
            "include.annotate.state",
            "include.labelling.answer_model",
            "include.labelling.answers",
            "include.labelling.appending",
            "include.labelling.asking",
            "include.labelling.boxes",
            "include.labelling.ends",
            "include.labelling.label_model",
            "include.labelling.people",
            "include.labelling.policies",
            "include.labelling.rounds",
            "include.labelling.seen",
            "include.labelling.verdicts",
            *_RESOLVED,
        ),
        beside=("label_answers", "label_boxes", "label_ends"),
        rebuilt=False,  # people would be asked again
    ),
    Stage(
        "label_quality",
        "label",
        "labels",
        ("labels", "features"),
        code_version=2,
        modules=(
            "include.label.report",
            "include.labelling.agreement",
            "include.labelling.annotators",
            "include.labelling.answer_model",
            "include.labelling.answers",
            "include.labelling.box_agreement",
            "include.labelling.drawings",
            "include.labelling.people",
            "include.labelling.quality",
            "include.labelling.verdicts",
            "include.modelling.estimators",
            "include.modelling.labelled_rows",
        ),
        rebuilt=False,  # it is about the labels of then
    ),
    Stage(
        "predictions",
        "batch_predict",
        "features",
        ("features",),
        code_version=1,
        modules=(
            "include.batch_predict.predict",
            "include.model_features",
            "include.modelling.scoring",
        ),
    ),
    Stage(
        "monitoring",
        "drift_monitor",
        "predictions",
        ("predictions", "features", "labels"),
        code_version=2,
        modules=(
            "include.drift_monitor.current",
            "include.drift_monitor.drift",
            "include.drift_monitor.examine",
            "include.drift_monitor.monitor",
            "include.drift_monitor.outcomes",
            "include.drift_monitor.performance",
            "include.drift_monitor.rows",
            "include.drift_monitor.significance",
            "include.modelling.blocks",
            "include.modelling.uncertainty",
            *_JUDGED,
        ),
    ),
    Stage(
        "decisions",
        "retrain_trigger",
        "drift",
        ("monitoring",),
        code_version=1,
        modules=(
            "include.retrain_trigger.changed_labels",
            "include.retrain_trigger.decide",
            "include.retrain_trigger.facts",
            "include.retrain_trigger.gather",
            "include.retrain_trigger.obstacles",
            "include.retrain_trigger.records",
            "include.retrain_trigger.signals",
        ),
        holds_rows=False,  # a decision was taken then, and stands
        rebuilt=False,  # a decision on each month of a year would ask for a training of each
    ),
    Stage(
        "training",
        "train_tune",
        "training_request",
        ("features", "labels"),
        code_version=2,
        modules=(
            *_ALGORITHMS,
            "include.modelling.blocks",
            "include.modelling.choice",
            "include.modelling.estimators",
            "include.modelling.fit",
            "include.modelling.folds",
            "include.modelling.label_coverage",
            "include.modelling.labelled_rows",
            "include.modelling.out_of_fold",
            "include.modelling.rounds",
            "include.modelling.search",
            "include.modelling.training_set",
            "include.modelling.tuning",
            "include.modelling.uncertainty",
            "include.modelling.units",
            "include.train_tune.finish",
            "include.train_tune.prepare",
            "include.train_tune.trial",
            *_JUDGED,
        ),
        holds_rows=False,
        rebuilt=False,
    ),
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in _DECLARED}
"""By name, in the order of the wheel."""

REBUILT = tuple(dict.fromkeys(stage.phase for stage in _DECLARED if stage.rebuilt))
"""Phases that the Dag `rebuild` can run again."""

RETRACTED = tuple(
    table for stage in _DECLARED if stage.holds_rows for table in (*stage.beside, stage.name)
)
"""Tables that a retraction clears, each after what it is made from."""


def stage_of(table: str) -> Stage:
    """Return the stage of a table; `reference_<name>` is one of `reference`."""
    return STAGES[REFERENCE if table.startswith(f"{REFERENCE}_") else table]


def tables_of(stage: str, references: Iterable[str]) -> list[str]:
    """Name the tables of a stage: one, or of `reference` one for each of these references.

    Examples
    --------
    >>> tables_of("clean", ["planes"]), tables_of("reference", ["planes"])
    (['clean'], ['reference_planes'])
    """
    return [f"{REFERENCE}_{name}" for name in references] if stage == REFERENCE else [stage]


def upstream(*names: str) -> list[str]:
    """Name these stages and all that they are made from, in the order of the wheel.

    Examples
    --------
    >>> upstream("features")
    ['raw', 'reference', 'clean', 'features']
    """
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        found.add(name)
        pending += [source for source in STAGES[name].made_from if source not in found]
    return [name for name in STAGES if name in found]
