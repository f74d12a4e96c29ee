"""The rounds of a search: how many trials are drawn at once, known before the first one runs.

It imports nothing heavy, so a Dag file may read it.
"""

from __future__ import annotations

from itertools import pairwise

ROUNDS = 3
"""Few, because the last trial of a round keeps all workers but one waiting. Our choice."""

MIN_TRIALS = 6
"""With fewer there is one round: a model of the metric from fewer than two results says nothing."""


def rounds_of(trials: int) -> list[range]:
    """Return the numbers of each round's trials, of one candidate.

    The first third of the trials, two at least, is drawn before anything is known; what follows is
    drawn from their results.

    Examples
    --------
    >>> rounds_of(10)
    [range(0, 4), range(4, 7), range(7, 10)]
    >>> rounds_of(5)
    [range(0, 5), range(5, 5), range(5, 5)]
    """
    if trials < MIN_TRIALS:
        cuts = [0, trials, trials, trials]
    else:
        first = -(-trials // ROUNDS)
        cuts = [0, first, first + -(-(trials - first) // 2), trials]
    return [range(start, end) for start, end in pairwise(cuts)]
