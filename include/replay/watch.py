"""What the drift monitor says of a model's partitions, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.drift_monitor.current import Current
from include.drift_monitor.drift import PREDICTION, sample
from include.drift_monitor.examine import examine
from include.modelling.scoring import score_rows
from include.registry.package import ServableModel
from include.replay.known import Known
from include.replay.learn import Learned
from include.retrain_trigger.facts import Window
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase


@dataclass
class Watch:
    """The monitor; it looks at a partition once for each model and state of labels.

    Attributes
    ----------
    use_case : UseCase
        Its `monitor` section has the thresholds.
    """

    use_case: UseCase
    _seen: dict[tuple[str, str, bool], Window] = field(default_factory=dict, repr=False)

    def look(self, model: Learned, partition: str, known: Known) -> Window:
        """Examine a partition that a model served, with its labels where they have come."""
        labelled = self.use_case.labels is not None and partition in known.labelled
        asked = (model.as_of, partition, labelled)
        if asked not in self._seen:
            self._seen[asked] = self._examined(model, partition, known, labelled)
        return self._seen[asked]

    def _examined(self, model: Learned, partition: str, known: Known, labelled: bool) -> Window:
        X = known.features(partition)
        outcomes = known.outcomes(partition) if labelled else None
        estimator = model.estimator
        current = Current(
            rows=len(X),
            model=_servable(self.use_case, model),
            scored=X.assign(**{PREDICTION: score_rows(estimator, X, self.use_case)}),
            y=None if outcomes is None else outcomes.truth,
            score=None if outcomes is None else score_rows(estimator, outcomes.X, self.use_case),
            inputs=(),
        )
        findings, _ = examine(self.use_case, current)
        shift, performance = findings.prediction_shift, findings.performance
        return Window(
            partition,
            drift=shift.drifted if shift else None,
            decay=None if performance is None else performance.verdict == "decay",
            model_version=model.as_of,
        )


def _servable(use_case: UseCase, model: Learned) -> ServableModel:
    """Make the package of a model, as far as the monitor reads it."""
    reference = sample(model.holdout_X, use_case.monitor.sample_rows)
    # As in the package of a refit: it would be too sure of rows that it has learned. Of clusters it
    # has numbers of its own.
    scored_by = model.estimator if use_case.task == "clustering" else model.evaluated
    scores = score_rows(scored_by, reference, use_case)
    return ServableModel(
        use_case=use_case,
        version=model.as_of,
        estimator=model.estimator,
        request_columns={},
        example={},
        reference=reference.assign(**{PREDICTION: scores}),
        facts={
            "metrics": model.values["model"],
            "baselines": {name: model.values[name] for name in ("dummy", "linear")},
            "holdout_rows": len(model.holdout_X),
        },
        python=OwnPython(use_case.name, ()),
    )
