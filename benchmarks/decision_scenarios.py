"""The questions put to the gate, in worlds in which the true answer is known.

Each scenario plays one holdout and says what the gate did, and what it did before, on the same
rows. A rate over many seeds is a row of the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmarks import decision_before as before
from benchmarks.decision_worlds import (
    CHAMPION_AUC,
    CHAMPION_MAE,
    DUMMY_MAE,
    LINEAR_AUC,
    LINEAR_MAE,
    AucWorld,
    Drawn,
    MaeWorld,
)
from include.deploy.evidence import Evidence, Question
from include.deploy.rule import judge
from include.modelling.metrics import METRICS_BY_TASK, Metric
from include.modelling.uncertainty import estimate_gain
from include.use_cases.amounts import Amount
from include.use_cases.schema import Deploy

World = AucWorld | MaeWorld
Sense = Literal["at most", "at least"]
Floats = npt.NDArray[np.float64]

AUC = METRICS_BY_TASK["classification"]["roc_auc"]
MAE = METRICS_BY_TASK["regression"]["mae"]
NOTHING = Amount.of(0)
BASELINE_ROWS = 5_000


@dataclass(frozen=True)
class Outcome:
    """Whether one holdout is counted.

    Attributes
    ----------
    now : bool
        By the gate.
    before : callable
        By the method before, which takes most of the time: called for some of the seeds.
    """

    now: bool
    before: Callable[[], bool]


@dataclass(frozen=True)
class Scenario:
    """One row of the table.

    Attributes
    ----------
    name : str
        Stable: it seeds the draws.
    words : str
        What is counted.
    play : callable
        ``play(rng)`` draws one holdout and decides.
    limit : float or None
        Of the share; None where it is only reported.
    sense : {'at most', 'at least'}
        How to read the limit.
    """

    name: str
    words: str
    play: Callable[[np.random.Generator], Outcome]
    limit: float | None = None
    sense: Sense = "at most"


@dataclass(frozen=True)
class Setting:
    """What a scenario draws: a world, how many rows, and how good the challenger truly is.

    Attributes
    ----------
    gain : float
        True gain over the champion: in the metric's unit, negative for a loss.
    share : float
        The same as a share of the champion's skill over the dummy, added to `gain`.
    """

    world: World
    rows: int
    gain: float = 0.0
    share: float = 0.0

    @property
    def metric(self) -> Metric:
        """ROC AUC or the mean absolute error."""
        return AUC if isinstance(self.world, AucWorld) else MAE

    def values(self, challengers: int = 1, champions: int = 1) -> list[float]:
        """Give the true metrics: challengers, champions, linear."""
        if isinstance(self.world, AucWorld):
            champion, linear, dummy = CHAMPION_AUC, LINEAR_AUC, 0.5
        else:
            champion, linear, dummy = CHAMPION_MAE, LINEAR_MAE, DUMMY_MAE
        gain = self.gain + self.share * abs(champion - dummy)
        challenger = champion + (gain if self.metric.greater_is_better else -gain)
        return [*[challenger] * challengers, *[champion] * champions, linear]

    def draw(self, rng: np.random.Generator, challengers: int = 1, champions: int = 1) -> Drawn:
        """Draw one holdout."""
        return self.world.draw(rng, self.rows, self.values(challengers, champions))


def question(
    metric: Metric, drawn: Drawn, ours: Floats, theirs: Floats, most: int | None = None
) -> Question:
    """Ask as the gate does; with `most`, chance is judged on about so many of the rows only."""
    truth = drawn.truth
    known = [metric.compute(truth, score) for score in (ours, theirs)]
    values = [value if math.isfinite(value) else None for value in known]
    some = slice(None, None, 1 if most is None else math.ceil(len(truth) / most))
    return Question(
        *values, estimate_gain(metric, truth[some], ours[some], theirs[some], drawn.day[some])
    )


def evidence(
    metric: Metric,
    drawn: Drawn,
    *,
    ours: int = 0,
    configuration: int | None = None,
    freshness: int | None = None,
    newer: bool = False,
) -> Evidence:
    """Gather the gate's evidence for score `ours` against those that the questions name.

    The baselines are no question here: the challenger is far better, and some rows show that.
    """

    def against(number: int | None) -> Question | None:
        if number is None:
            return None
        return question(metric, drawn, drawn.scores[ours], drawn.scores[number])

    dummy = np.zeros(len(drawn.truth))
    return Evidence(
        metric=metric.name,
        dummy=question(metric, drawn, drawn.scores[ours], dummy, BASELINE_ROWS),
        linear=question(metric, drawn, drawn.scores[ours], drawn.scores[-1], BASELINE_ROWS),
        rows=len(drawn.truth),
        holdout_partition="simulated",
        configuration=against(configuration),
        freshness=against(freshness),
        same_configuration=configuration is None,
        newer=newer,
        champion="1",
    )


def configuration(setting: Setting, min_effect: Amount, rng: np.random.Generator) -> Outcome:
    """Ask whether another configuration is better; the champion has learned the holdout."""
    drawn, metric = setting.draw(rng), setting.metric
    verdict = judge(evidence(metric, drawn, configuration=1), Deploy(min_effect=min_effect))
    return Outcome(verdict.promote, lambda: by_before(metric, drawn, min_effect))


def both_questions(setting: Setting, rng: np.random.Generator) -> Outcome:
    """Ask both questions: the champion has not learned the holdout, nor is it older."""
    drawn, metric = setting.draw(rng, champions=2), setting.metric
    gathered = evidence(metric, drawn, configuration=1, freshness=2)
    verdict = judge(gathered, Deploy(min_effect=NOTHING))
    return Outcome(verdict.promote, lambda: by_before(metric, drawn, NOTHING))


def refresh(setting: Setting, rng: np.random.Generator) -> Outcome:
    """Ask whether a model of the same configuration that knows newer data may serve."""
    drawn, metric = setting.draw(rng), setting.metric
    verdict = judge(evidence(metric, drawn, freshness=1, newer=True), Deploy())
    return Outcome(verdict.promote, lambda: by_before(metric, drawn, Deploy().min_effect))


def three_looks(setting: Setting, rng: np.random.Generator) -> Outcome:
    """Judge three equal challengers on one holdout, until one is promoted."""
    drawn, metric, deploy = (
        setting.draw(rng, challengers=3),
        setting.metric,
        Deploy(min_effect=NOTHING),
    )
    now = any(
        judge(evidence(metric, drawn, ours=one, configuration=3), deploy, look=one + 1).promote
        for one in range(3)
    )
    return Outcome(
        now, lambda: any(by_before(metric, drawn, NOTHING, ours=one, theirs=3) for one in range(3))
    )


def by_before(
    metric: Metric, drawn: Drawn, min_effect: Amount, ours: int = 0, theirs: int = 1
) -> bool:
    """Decide as the gate did before."""
    truth, pair = drawn.truth, [drawn.scores[ours], drawn.scores[theirs]]
    dummy = metric.compute(truth, np.zeros(len(truth)))
    needed = min_effect.within(metric.compute(truth, pair[1]) - dummy)
    return before.promotes(metric, truth, pair[0], pair[1], needed)
