"""What the phase `drift_monitor` would have found in the partitions of a replay, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.drift_monitor.current import Current
from include.drift_monitor.drift import PREDICTION, sample
from include.drift_monitor.examine import examine
from include.drift_monitor.outcomes import Outcomes
from include.modelling.blocks import Blocks, blocks_of
from include.modelling.scoring import monitored, score_rows
from include.modelling.uncertainty import MIN_BLOCKS
from include.registry.package import ServableModel
from include.replay.known import Known
from include.replay.learn import Learned
from include.retrain_trigger.facts import Window
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase


@dataclass
class ReplayMonitor:
    """Examines a partition once for each model, and again when its labels have come.

    Attributes
    ----------
    use_case : UseCase
        Its `monitor` section has the thresholds.
    """

    use_case: UseCase
    _found: dict[tuple[str, str, bool], Window] = field(default_factory=dict, repr=False)

    def window_of(
        self, model: Learned, partition: str, known: Known, earlier: Sequence[str] = ()
    ) -> Window:
        """Examine a partition that a model served, with its labels where they have come.

        Parameters
        ----------
        model : Learned
            What served.
        partition : str
            Which partition.
        known : Known
            What is known now.
        earlier : sequence of str
            Partitions that the same model served before, oldest first: their outcomes are taken
            with those of a partition that has too few independent units.
        """
        labelled = self.use_case.labels is not None and partition in known.labelled
        asked = (model.as_of, partition, labelled)
        if asked not in self._found:
            self._found[asked] = self._examined(model, partition, known, earlier, labelled)
        return self._found[asked]

    def _examined(
        self,
        model: Learned,
        partition: str,
        known: Known,
        earlier: Sequence[str],
        labelled: bool,
    ) -> Window:
        X = known.features(partition)
        scores = score_rows(model.estimator, X, self.use_case)
        current = Current(
            rows=len(X),
            model=_servable(self.use_case, model),
            scored=X.assign(**{PREDICTION: monitored(scores, self.use_case)}),
            outcomes=self._outcomes(model, known, [*earlier, partition]) if labelled else None,
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

    def _outcomes(self, model: Learned, known: Known, partitions: Sequence[str]) -> Outcomes:
        """Take the newest partitions, until there are enough independent units."""
        use_case, count = self.use_case, 1
        unit, by = use_case.resample_by, use_case.train.split.time

        def blocks() -> Blocks:
            units = [known.outcomes(key).units for key in partitions[-count:]]
            return blocks_of(unit, pd.concat(units, ignore_index=True), by)

        while len(np.unique(blocks())) < MIN_BLOCKS and count < len(partitions):
            count += 1
        rows = [known.outcomes(key).rows for key in partitions[-count:]]
        return Outcomes(
            y=np.concatenate([each.truth for each in rows]),
            score=np.concatenate([score_rows(model.estimator, each.X, use_case) for each in rows]),
            blocks=blocks(),
            partitions=list(partitions[-count:]),
            weight=_joined([each.weight for each in rows]),
        )


def _joined(weights: Sequence[npt.NDArray[np.float64] | None]) -> npt.NDArray[np.float64] | None:
    known = [each for each in weights if each is not None]
    return np.concatenate(known) if known else None


def _servable(use_case: UseCase, model: Learned) -> ServableModel:
    """Make the package of a model, as far as the monitor reads it."""
    reference = sample(model.holdout_X, use_case.monitor.sample_rows)
    # As in the package of a refit: the evaluated model predicts the reference, because the refit
    # has learned these rows. A clustering predicts them itself: its cluster numbers are its own.
    scored_by = model.estimator if use_case.task == "clustering" else model.evaluated
    scores = monitored(score_rows(scored_by, reference, use_case), use_case)
    known = model.holdout_estimate
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
            "holdout_estimate": None if known is None else asdict(known),
        },
        python=OwnPython(use_case.name, ()),
    )
