"""The rule: from evidence to a verdict. No fit, no store, no service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from include.deploy.evidence import Evidence, Question
from include.deploy.looks import alpha_of
from include.deploy.statements import (
    ChampionCompared,
    nothing_to_compare,
    of_dummy,
    of_linear,
    of_slices,
    older_data,
    percent,
)
from include.use_cases.schema import Deploy

Grounds = Literal["first", "better", "refresh"]


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger is to become champion, and why.

    Attributes
    ----------
    promote : bool
        The answer.
    reasons : list of str
        Each begins with its question, such as `freshness: `, and has its numbers.
    metric : str
        What they were compared by.
    challenger, champion, dummy, linear : float or None
        The metric. Of challenger and champion in the question that decided; None where there is
        none, or where it is not defined.
    effect : float or None
        How much better the challenger is than the champion, or than the dummy when there is no
        champion; negative if worse, whichever way the metric reads.
    confidence_low : float or None
        The effect is above this at `confidence`; None where chance cannot be judged.
    rows : int
        How many rows they were compared on.
    holdout_partition : str
        The newest partition of the challenger's holdout.
    champion_version : str or None
        Which champion.
    grounds : {'first', 'better', 'refresh'} or None
        Why it is promoted: nothing serves yet, it is surely better, or it knows newer data and
        surely loses less than `deploy.margin`.
    look : int
        How many versions were judged on this holdout, this one included.
    confidence : float
        Of each bound. The looks share `deploy.confidence` among them.
    """

    promote: bool
    reasons: list[str]
    metric: str
    challenger: float | None
    champion: float | None
    dummy: float | None
    effect: float | None
    confidence_low: float | None
    rows: int
    holdout_partition: str
    champion_version: str | None
    linear: float | None = None
    grounds: Grounds | None = None
    look: int = 1
    confidence: float = 0.95


def judge(evidence: Evidence, deploy: Deploy, look: int = 1) -> Verdict:
    """Decide on a challenger.

    It is promoted if it is surely better than the dummy, not surely worse than the linear baseline
    by more than ``deploy.min_effect``, in no slice surely worse than the champion by more than
    ``deploy.slices.max_drop``, and one of:

    - nothing serves yet;
    - configuration: it is surely better than the champion's by ``deploy.min_effect``, and, where
      freshness can be asked, surely loses less than ``deploy.margin``; where it cannot, the
      champion must not know newer data;
    - freshness: where no configuration can be compared, it is surely better than the champion as it
      serves, by ``deploy.min_effect``;
    - it knows newer data, and surely loses less than ``deploy.margin`` against the champion as it
      serves (a test of non-inferiority).

    Parameters
    ----------
    evidence : Evidence
        What `evidence_of` gathered.
    deploy : Deploy
        The thresholds.
    look : int
        How many versions were judged on this holdout, this one included.
    """
    alpha = alpha_of(deploy.confidence, look)
    baselines = [of_dummy(evidence, alpha), of_linear(evidence, deploy, alpha)]
    slices = list(of_slices(evidence, deploy, alpha))
    found = _against_champion(evidence, deploy, alpha)
    against = [each.words for each in (*baselines, *slices) if not each.in_favour]
    if found.grounds is None:
        against = [*found.words, *against]
    reasons = against or [*found.words, *(each.words for each in (*baselines, *slices))]
    if look > 1:
        reasons.append(f"look {look} at this holdout: each bound holds at {percent(alpha)}")
    decided = found.decided
    return Verdict(
        promote=not against,
        reasons=[*evidence.notes, *reasons],
        metric=evidence.metric,
        challenger=decided.ours,
        champion=None if decided is evidence.dummy else decided.theirs,
        dummy=evidence.dummy.theirs,
        linear=evidence.linear.theirs,
        effect=decided.gain.value,
        confidence_low=decided.gain.low(alpha),
        rows=evidence.rows,
        holdout_partition=evidence.holdout_partition,
        champion_version=evidence.champion,
        grounds=None if against else found.grounds,
        look=look,
        confidence=1 - alpha,
    )


@dataclass(frozen=True)
class _AgainstChampion:
    """On which grounds a challenger may serve, the question that decided, and what was found."""

    grounds: Grounds | None
    decided: Question
    words: list[str]


def _against_champion(evidence: Evidence, deploy: Deploy, alpha: float) -> _AgainstChampion:
    if evidence.champion is None:
        return _AgainstChampion("first", evidence.dummy, [])
    fresh, settings = (
        None if asked is None else ChampionCompared(evidence, asked, deploy, alpha)
        for asked in (evidence.freshness, evidence.configuration)
    )
    asked = fresh or settings
    if asked is None:
        return _AgainstChampion(None, evidence.dummy, [nothing_to_compare(evidence)])
    words = []
    if settings is not None:
        words.append(f"configuration: {settings.words('configuration at the same origins')}")
    if fresh is not None:
        said = fresh.words("model as it serves", decides=settings is None)
        words.append(f"freshness: {said}")
    # One question alone may say "better": two would have twice the chance of error.
    if settings is None and fresh is not None and fresh.better:
        return _AgainstChampion("better", fresh.asked, words)
    if fresh is None and evidence.older:
        words.append(older_data(evidence))
    elif settings is not None and settings.better and (fresh is None or fresh.not_inferior):
        return _AgainstChampion("better", settings.asked, words)
    if fresh is not None and fresh.not_inferior and evidence.newer:
        same = "the same" if evidence.same_configuration else "another"
        words.append(f"refresh: the challenger knows newer data, with {same} configuration")
        return _AgainstChampion("refresh", fresh.asked, words)
    return _AgainstChampion(None, asked.asked, words)
