"""The gate of the phase `deploy`, on models in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from include.deploy.contenders import Contender, Rows
from include.deploy.evidence import Evidence, evidence_of
from include.deploy.refit_checks import check_refit
from include.deploy.rule import judge
from include.modelling.metrics import judged
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet
from include.replay.learn import Learned
from include.replay.policies import Ruling
from include.use_cases.schema import UseCase


@dataclass
class Gate:
    """Judges challengers as `include.deploy.compare` and the refit after it do.

    Features are those of the lake for both models: in a replay there is one definition. The same
    two models are compared once, whichever policies ask.
    """

    _known: dict[tuple[str, str | None], tuple[Evidence, list[str]]] = field(
        default_factory=dict, repr=False
    )

    def __call__(
        self,
        use_case: UseCase,
        challenger: Learned,
        champion: Learned | None,
        training: TrainingSet,
        look: int,
    ) -> Ruling:
        """Judge a challenger.

        Parameters
        ----------
        use_case : UseCase
            Its `deploy` section has the rule.
        challenger, champion : Learned
            Who asks to serve, and who serves.
        training : TrainingSet
            The challenger's.
        look : int
            How many challengers were judged on this holdout, this one included.
        """
        pair = challenger.as_of, champion.as_of if champion else None
        if pair not in self._known:
            evidence = _evidence(use_case, challenger, champion, training)
            self._known[pair] = evidence, _against_refit(use_case, challenger, training)
        evidence, against_refit = self._known[pair]
        verdict = judge(evidence, use_case.deploy, look)
        # No gain over a champion is claimed where there is none. For a refresh the bound may be
        # negative: the gate claims that it loses no more than that.
        claimed = None if champion is None else verdict.confidence_low
        if not verdict.promote:
            return Ruling(False, verdict.reasons, claimed)
        return Ruling(not against_refit, [*verdict.reasons, *against_refit], claimed)


def _evidence(
    use_case: UseCase, challenger: Learned, champion: Learned | None, training: TrainingSet
) -> Evidence:
    rows = Rows.of(training)
    ours = _contender(use_case, challenger, challenger.evaluated, training)
    if champion is None:
        return evidence_of(use_case, rows, ours)
    return evidence_of(
        use_case,
        rows,
        ours,
        _contender(use_case, champion, champion.estimator, training),
        same_configuration=_configuration(challenger) == _configuration(champion),
        newer=challenger.as_of > champion.as_of,
        knows_holdout=champion.learned_until >= training.holdout_partitions[0],
    )


def _against_refit(use_case: UseCase, challenger: Learned, training: TrainingSet) -> list[str]:
    """Check what would serve as the phase `deploy` checks a refit."""
    if not use_case.deploy.refit:
        return []
    X = training.holdout_X.reset_index(drop=True)
    y = None if training.holdout_y is None else training.holdout_y.reset_index(drop=True)
    rows = judged(use_case, X, y, training.holdout_weight)
    scores = [
        score_rows(model, rows.X, use_case)
        for model in (challenger.evaluated, challenger.estimator)
    ]
    blocks = training.holdout_blocks[rows.X.index.to_numpy()]
    checked = check_refit(use_case, rows, blocks, *scores)
    return [f"refit: {each}" for each in checked.reasons_against]


def _contender(
    use_case: UseCase, model: Learned, estimator: Any, training: TrainingSet
) -> Contender:
    return Contender(
        version=model.as_of,
        use_case=use_case,
        candidate=model.candidate,
        params=model.params,
        estimator=estimator,
        train_X=training.train_X,
        holdout_X=training.holdout_X,
    )


def _configuration(model: Learned) -> tuple[str, dict[str, float | int]]:
    return model.candidate, model.params
