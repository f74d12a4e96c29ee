"""What each question says for or against a challenger, in words with numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from include.deploy.evidence import Evidence, Question
from include.use_cases.schema import Deploy


@dataclass(frozen=True)
class Statement:
    """What a question says.

    Attributes
    ----------
    in_favour : bool
        Whether it speaks for the challenger, or at least not against it.
    words : str
        With its numbers.
    """

    in_favour: bool
    words: str


class ChampionCompared:
    """A challenger against the champion, by one question."""

    def __init__(self, evidence: Evidence, asked: Question, deploy: Deploy, alpha: float) -> None:
        self.asked = asked
        self._evidence, self._alpha = evidence, alpha
        worth = skill(asked.theirs, evidence.dummy.theirs)
        self._needed, self._margin = deploy.min_effect.within(worth), deploy.margin.within(worth)
        self._low = asked.gain.low(alpha)

    @property
    def better(self) -> bool:
        """Whether the gain is surely above `deploy.min_effect`."""
        return self._low is not None and self._low > self._needed

    @property
    def not_inferior(self) -> bool:
        """Whether the loss is surely below `deploy.margin`."""
        return self._low is not None and self._low > -self._margin

    def words(self, of_what: str, *, decides: bool = True) -> str:
        """Say what was found against the champion's `of_what`.

        "Better" is said by the question that decides about it, and by no other: two would have
        twice the chance of error.
        """
        numbers = _numbers(self._evidence.metric, self.asked)
        said = f"{numbers} of champion {self._evidence.champion}'s {of_what}"
        if self.asked.gain.problem:
            return f"{said}; {self.asked.gain.problem}"
        if self.better and decides:
            answer = f"surely better by more than {self._needed:.4g}"
        elif self.not_inferior and not decides:
            answer = f"surely not worse by {self._margin:.4g}"
        elif self.not_inferior:
            answer = (
                f"not surely better by more than {self._needed:.4g}, but surely not worse by "
                f"{self._margin:.4g}"
            )
        else:
            answer = f"may be worse by {self._margin:.4g} or more"
        return f"{said}, at least {self._low:+.4g} at {percent(self._alpha)}: {answer}"


def nothing_to_compare(evidence: Evidence) -> str:
    """Say why no question could be asked."""
    champion = evidence.champion
    if evidence.same_configuration and not evidence.newer:
        return (
            f"freshness: there is nothing to compare, champion {champion} has the same "
            "configuration and the challenger knows no newer data"
        )
    return (
        f"freshness: champion {champion} has learned rows of this holdout, and its configuration "
        "is the same or cannot be fitted again: there are no rows to compare the two on. Train "
        "again when later outcomes have come"
    )


def older_data(evidence: Evidence) -> str:
    """Say why a better configuration is not enough."""
    return (
        f"freshness: champion {evidence.champion} knows newer data than the challenger, this "
        "holdout included, so nothing shows that it would serve better. Train again with all "
        "labelled partitions"
    )


def of_dummy(evidence: Evidence, alpha: float) -> Statement:
    """Say whether the challenger is surely better than the dummy.

    A first champion may pass without: where there is too little data to be sure of anything, some
    model that looks useful is worth more than none.
    """
    asked = evidence.dummy
    numbers = f"dummy: {_numbers(evidence.metric, asked)}"
    low = asked.gain.low(alpha)
    if low is not None:
        words = "surely better" if low > 0 else "not surely better"
        return Statement(low > 0, f"{numbers}, at least {low:+.4g} at {percent(alpha)}: {words}")
    ahead = asked.gain.value is not None and asked.gain.value > 0
    if evidence.first and evidence.champion is None and ahead:
        words = "better on the point estimate alone, which is enough for a first champion"
        return Statement(True, f"{numbers}: {words} ({asked.gain.problem})")
    return Statement(False, f"{numbers}; {asked.gain.problem}")


def of_linear(evidence: Evidence, deploy: Deploy, alpha: float) -> Statement:
    """Say whether the challenger is surely worse than the linear baseline, by `min_effect`.

    Two linear models that differ a little in their penalty are surely different and equally good:
    what is too small to count as a gain does not count as a loss.
    """
    asked = evidence.linear
    numbers = f"linear: {_numbers(evidence.metric, asked)}"
    high = asked.gain.high(alpha)
    if high is None:
        return Statement(True, f"{numbers}: not judged ({asked.gain.problem})")
    least = deploy.min_effect.within(skill(asked.theirs, evidence.dummy.theirs))
    in_favour = high >= -least
    words = f"{'not ' if in_favour else ''}surely worse by more than {least:.4g}"
    return Statement(in_favour, f"{numbers}, at most {high:+.4g} at {percent(alpha)}: {words}")


def of_slices(evidence: Evidence, deploy: Deploy, alpha: float) -> Iterator[Statement]:
    """Judge the slices; they share the chance of error among them (Bonferroni)."""
    if deploy.slices is None:
        return
    asked = evidence.freshness or evidence.configuration
    worth = skill(asked.theirs if asked else None, evidence.dummy.theirs)
    allowed = deploy.slices.max_drop.within(worth)
    known = [name for name, one in evidence.slices.items() if one.gain.problem is None]
    for name, one in evidence.slices.items():
        if one.gain.problem is not None:
            yield Statement(True, f"slice {name}: not judged ({one.gain.problem})")
            continue
        high = one.gain.high(alpha / len(known))
        if high is not None and high < -allowed:
            yield Statement(
                False,
                f"slice {name}: {_numbers(evidence.metric, one)}, at most {high:+.4g} at "
                f"{percent(alpha / len(known))}: surely worse by more than {allowed:.4g}",
            )


def skill(value: float | None, dummy: float | None) -> float:
    """Return what a model is worth over the dummy; 0 where either is not defined."""
    return 0.0 if value is None or dummy is None else abs(value - dummy)


def _numbers(metric: str, asked: Question) -> str:
    ours, theirs, gain = (_number(one) for one in (asked.ours, asked.theirs, asked.gain.value))
    return (
        f"{metric} {ours} against {theirs}"
        if gain == "undefined"
        else (f"{metric} {ours} against {theirs} (gain {asked.gain.value:+.4g})")
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def percent(alpha: float) -> str:
    """Write the confidence that goes with a chance of error; it is never 100 %.

    Examples
    --------
    >>> percent(0.04), percent(0.0016), percent(1e-9)
    ('96 %', '99.84 %', 'more than 99.9999 %')
    """
    rounded = f"{100 * (1 - alpha):.6g}"
    return "more than 99.9999 %" if rounded == "100" else f"{rounded} %"
