"""The gate of the phase `deploy`, on models in memory."""

from __future__ import annotations

from typing import Any

from include.deploy.contenders import Contender, Rows
from include.deploy.evidence import evidence_of
from include.deploy.rule import judge
from include.modelling.training_set import TrainingSet
from include.replay.learn import Learned
from include.replay.policies import Ruling
from include.use_cases.schema import UseCase


def gate(
    use_case: UseCase,
    challenger: Learned,
    champion: Learned | None,
    training: TrainingSet,
    look: int,
) -> Ruling:
    """Judge a challenger as `include.deploy.compare` does.

    Features are those of the lake for both models: in a replay there is one definition.

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
    rows = Rows(
        train_y=training.train_y,
        holdout_y=training.holdout_y,
        times=training.holdout_times,
        blocks=training.holdout_blocks,
        holdout_partition=training.holdout_partition,
    )
    ours = _contender(use_case, challenger, challenger.evaluated, training)
    if champion is None:
        verdict = judge(evidence_of(use_case, rows, ours), use_case.deploy, look)
        return Ruling(verdict.promote, verdict.reasons)  # over the dummy: no champion was replaced
    evidence = evidence_of(
        use_case,
        rows,
        ours,
        _contender(use_case, champion, champion.estimator, training),
        same_configuration=_configuration(challenger) == _configuration(champion),
        newer=challenger.as_of > champion.as_of,
        knows_holdout=champion.learned_until >= training.holdout_partitions[0],
    )
    verdict = judge(evidence, use_case.deploy, look)
    # The bound of a refresh may be negative: so much it vouches for, and not more.
    return Ruling(verdict.promote, verdict.reasons, verdict.confidence_low)


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
