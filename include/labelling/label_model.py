"""One label from the votes of several rules, or of several annotators.

Dawid and Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM
algorithm", Applied Statistics 28(1): what each voter says of each true class is estimated from
where voters agree, and each vote counts by it. Two things differ from the paper:

- To abstain is an answer like the others. A rule that only ever votes for one class says nothing
  by its votes alone, and much by where it abstains.
- Each voter begins as worth something, and moves away from that with its rows: `PRIOR_ROWS` and
  `PRIOR_ODDS`. `benchmarks/label_model.py` shows what they cost and save.

Equal rows of votes are counted once, so 100,000 rows of ten rules take well under a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

ABSTAIN = -1
PRIOR_ROWS = 30.0
"""So many imagined rows of each class say that a voter is worth something; our choice."""
PRIOR_ODDS = 5.0
"""How much likelier a vote is for the true class than for another, before any row; our choice."""
MIN_ROWS = 1_000
"""From so many rows with a vote the voters are weighed: with 200 rows the model was up to .03 worse
than the majority where voters were equally accurate; with 1,000 never more than .01. Measured by
`benchmarks/label_model.py`."""
MIN_VOTERS = 3
"""With two voters nothing says which of them is right where they differ: the model has more
unknowns than the votes determine."""
_ROUNDS = 200
_CHANGE = 1e-6

Votes = npt.NDArray[np.int64]
"""Rows by voters: a class from 0 on, or `ABSTAIN`."""
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Weighed:
    """One label per row.

    Attributes
    ----------
    model : {'dawid_skene', 'majority'}
        What was used: the majority where there is too little to weigh by.
    posterior : ndarray of shape (rows, classes)
        Probability of each class; zeros where all abstain.
    majority : ndarray of shape (rows, classes)
        Share of the votes for each class; zeros where all abstain.
    """

    model: Literal["dawid_skene", "majority"]
    posterior: Shares
    majority: Shares


def weigh(votes: Votes, n_classes: int, model: Literal["dawid_skene", "majority"]) -> Weighed:
    """Make one distribution over classes of each row's votes.

    Parameters
    ----------
    votes : ndarray of shape (rows, voters)
        Classes from 0 to `n_classes` - 1, or `ABSTAIN`.
    n_classes : int
        How many classes there are; 2 or more.
    model : {'dawid_skene', 'majority'}
        What is asked for.
    """
    shares = majority(votes, n_classes)
    voted = int((votes != ABSTAIN).any(axis=1).sum())
    voters = int((votes != ABSTAIN).any(axis=0).sum())
    if model == "majority" or voted < MIN_ROWS or voters < MIN_VOTERS:
        return Weighed("majority", shares, shares)
    return Weighed("dawid_skene", dawid_skene(votes, n_classes), shares)


def majority(votes: Votes, n_classes: int) -> Shares:
    """Return the share of each row's votes for each class; zeros where all abstain.

    Examples
    --------
    >>> majority(np.array([[1, 1, 0, -1], [-1, -1, -1, -1]]), 2).round(2).tolist()
    [[0.33, 0.67], [0.0, 0.0]]
    """
    counts = np.stack([(votes == one).sum(axis=1) for one in range(n_classes)], axis=1)
    shares: Shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def dawid_skene(
    votes: Votes,
    n_classes: int,
    *,
    prior_rows: float = PRIOR_ROWS,
    rounds: int = _ROUNDS,
) -> Shares:
    """Estimate how voters answer, and from that the class of each row, by turns.

    Parameters
    ----------
    votes : ndarray of shape (rows, voters)
        As for `weigh`.
    n_classes : int
        How many classes there are.
    prior_rows : float
        `PRIOR_ROWS`; close to 0 it is the maximum likelihood of the paper.
    rounds : int
        At most so many turns; it ends where no probability moves by more than 1e-6.

    Returns
    -------
    ndarray of shape (rows, classes)
        Probabilities; zeros where all abstain.
    """
    patterns, place, counts = np.unique(votes, axis=0, return_inverse=True, return_counts=True)
    seen = (patterns != ABSTAIN).any(axis=1)
    weights = counts * seen
    posterior = majority(patterns, n_classes)
    if weights.sum() == 0:
        return posterior[place.ravel()]
    answers = [np.eye(n_classes + 1)[column + 1] for column in patterns.T]  # abstain comes first
    priors = [prior_rows * _prior(weights @ each / weights.sum()) for each in answers]
    for _ in range(rounds):
        log = np.log(_smoothed(weights @ posterior, prior_rows))[None, :]
        for answer, prior in zip(answers, priors, strict=True):
            said = (posterior * weights[:, None]).T @ answer + prior
            said /= said.sum(axis=1, keepdims=True)
            log = log + np.log(answer @ said.T)
        now = np.exp(log - log.max(axis=1, keepdims=True))
        now /= now.sum(axis=1, keepdims=True)
        moved = np.abs(now - posterior)[seen].max()
        posterior = now
        if moved < _CHANGE:
            break
    posterior[~seen] = 0.0
    return posterior[place.ravel()]


def chosen(posterior: Shares, min_confidence: float = 0.5) -> tuple[Votes, npt.NDArray[np.float64]]:
    """Choose the likeliest class of each row; `ABSTAIN` where none is likelier than asked for.

    Examples
    --------
    >>> labels, confidence = chosen(np.array([[0.1, 0.9], [0.5, 0.5], [0.0, 0.0]]))
    >>> labels.tolist(), confidence.tolist()
    ([1, -1, -1], [0.9, 0.5, 0.0])
    """
    confidence = posterior.max(axis=1)
    labels = np.where(confidence > min_confidence, posterior.argmax(axis=1), ABSTAIN)
    return labels, confidence


def _prior(shares: Any) -> Shares:
    """Make the answers of a voter that is worth something, per true class; rows sum to 1."""
    n_classes = len(shares) - 1
    said = np.tile(shares + 1e-9, (n_classes, 1))
    said[np.arange(n_classes), np.arange(n_classes) + 1] *= PRIOR_ODDS
    normal: Shares = said / said.sum(axis=1, keepdims=True)
    return normal


def _smoothed(counts: Any, prior_rows: float) -> Shares:
    """Make shares of the classes' counts: none is impossible."""
    some = prior_rows / 5 / len(counts) + 1e-12
    shares: Shares = (counts + some) / (counts + some).sum()
    return shares
