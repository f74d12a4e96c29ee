"""How rows are chosen that people are asked about: pure functions, without a draw of chance.

Chance is a number that never changes for a key (`include.modelling.units`): the same call chooses
the same rows, and a sample by these numbers stays fair, see `choose`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.labelling.label_model import ABSTAIN, Votes

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Rows that were chosen, in the order in which people see them.

    Attributes
    ----------
    rows : ndarray of int64
        Places in the arrays that the policies were given.
    policies : list of str
        The policy of each.
    scores : list of float or None
        What the policy found of each.
    """

    rows: Places
    policies: list[str]
    scores: list[float | None]


def uncertainty(probabilities: Floats) -> Floats:
    """Return 1 minus the margin between the two likeliest classes: 1 where they are equally likely.

    Margin sampling: Scheffer, Decomain and Wrobel (2001), "Active hidden Markov models for
    information extraction"; Settles (2009), "Active learning literature survey", section 3.1.

    Parameters
    ----------
    probabilities : ndarray of shape (rows, classes)
        Two classes or more; NaN where the champion says nothing of a row.

    Examples
    --------
    >>> uncertainty(np.array([[0.5, 0.5, 0.0], [0.1, 0.9, 0.0]])).round(2).tolist()
    [1.0, 0.2]
    """
    two = np.sort(probabilities, axis=1)[:, -2:]
    scores: Floats = 1.0 - (two[:, 1] - two[:, 0])
    return scores


def disagreement(votes: Votes) -> Floats:
    """Return the share of a row's votes that contradict its most frequent one.

    Parameters
    ----------
    votes : ndarray of shape (rows, rules)
        Classes, or `ABSTAIN`.

    Returns
    -------
    ndarray of shape (rows,)
        From 0 to below 1; NaN where fewer than two rules vote: nothing can disagree.

    Examples
    --------
    >>> disagreement(np.array([[1, 1, 0, -1], [1, 1, 1, 1], [1, -1, -1, -1]])).round(2).tolist()
    [0.33, 0.0, nan]
    """
    classes = np.unique(votes[votes != ABSTAIN])
    counts = np.stack([(votes == one).sum(axis=1) for one in [*classes, ABSTAIN]], axis=1)[:, :-1]
    total = counts.sum(axis=1)
    most = counts.max(axis=1, initial=0)
    scores: Floats = np.where(total > 1, 1.0 - most / np.maximum(total, 1), np.nan)
    return scores


def counts_of(shares: Mapping[str, float], count: int) -> dict[str, int]:
    """Split a number of items by shares: whole numbers that add up to it, by largest remainders.

    Examples
    --------
    >>> counts_of({"uncertain": 0.8, "random": 0.2}, 18)
    {'uncertain': 14, 'random': 4}
    """
    exact = {name: share * count for name, share in shares.items()}
    found = {name: int(value + 1e-9) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: found[name] - exact[name])
    for name in by_remainder[: count - sum(found.values())]:
        found[name] += 1
    return found


def choose(
    shares: Mapping[str, float],
    count: int,
    scores: Mapping[str, Floats],
    chance: Floats,
    reserved: npt.NDArray[np.bool_],
) -> Chosen:
    """Choose rows by several policies; no row is chosen twice.

    `random` takes rows in the order of `chance`. The other policies never take reserved rows, which
    come first in that order or are held out: so what `random` takes is a fair sample as long as
    reserved rows are left, whatever the others have taken before. (Were they to take rows from
    everywhere, the rest would be the easy rows, and a sample of the rest would be easy too.)

    Parameters
    ----------
    shares : mapping of str to float
        `labels.people.choose`.
    count : int
        How many rows; fewer are chosen where there are no more.
    scores : mapping of str to ndarray of shape (rows,)
        What each policy finds of each row; NaN and 0 are not chosen. A policy without scores leaves
        its share to `random`.
    chance : ndarray of shape (rows,)
        A number per row that never changes.
    reserved : ndarray of bool, shape (rows,)
        Rows that only `random` may take.
    """
    free = np.ones(len(chance), dtype=bool)
    taken: list[tuple[int, str, float | None]] = []
    for policy, wanted in counts_of(shares, count).items():
        if policy == "random" or policy not in scores:
            continue
        of_policy = np.where(free & ~reserved, np.nan_to_num(scores[policy], nan=0.0), 0.0)
        # Of equal scores the lower number: without that, the order of the keys would choose.
        best = np.lexsort((chance, -of_policy))[:wanted]
        for row in best[of_policy[best] > 0]:
            taken.append((int(row), policy, float(of_policy[row])))
            free[row] = False
    left = np.flatnonzero(free)
    drawn = left[np.argsort(chance[left], kind="stable")][: count - len(taken)]
    taken += [(int(row), "random", None) for row in drawn]
    rows, policies, found = zip(*taken, strict=True) if taken else ((), (), ())
    return Chosen(np.array(rows, dtype=np.int64), list(policies), list(found))
