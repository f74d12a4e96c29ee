"""One label from the answers of several people, each weighed by how accurate it seems.

The model of Dawid and Skene (1979) with one accuracy for each annotator, and every class as likely
before an answer (the "one-coin" model; Zhang, Chen, Zhou and Jordan (2016), "Spectral methods meet
EM: a provably optimal algorithm for crowdsourcing", JMLR 17, section 2). Rules are weighed by the
full model in `label_model`, which needs more: people answer some items each, and seldom enough for
a table of errors. `benchmarks/label_model.py` has settings of both.

- An annotator who was not asked says nothing of an item.
- All classes are equally likely before: an answer that nobody contradicts is the label, however
  rare its class.
- Accuracies are estimated on items with several answers; the others would confirm themselves.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from include.labelling.label_model import ABSTAIN, Shares, Votes, majority

PRIOR_ANSWERS, PRIOR_RIGHT = 30.0, 0.8
"""So many imagined answers of each annotator, and the share of them that is right; our choice."""
MIN_ITEMS = 500
"""From so many items with several answers annotators are weighed. With 200 the model was up to .02
worse than the majority where annotators were equally accurate; with 500 about .01. Measured by
`benchmarks/label_model.py`."""
MIN_ANNOTATORS = 3
"""With two annotators nothing says who is right where they differ."""
_ROUNDS = 200
_CHANGE = 1e-6


def weigh_answers(
    answers: Votes, n_classes: int, model: Literal["dawid_skene", "majority"]
) -> Shares:
    """Make one distribution over classes of each item's answers.

    Parameters
    ----------
    answers : ndarray of shape (items, annotators)
        Classes from 0 to `n_classes` - 1; `ABSTAIN` where there is no answer.
    n_classes : int
        How many classes there are; 2 or more.
    model : {'dawid_skene', 'majority'}
        What is asked for; the majority counts where there is too little to weigh by.

    Returns
    -------
    ndarray of shape (items, classes)
        Probabilities, or shares of the answers; zeros where there is none.
    """
    given = answers != ABSTAIN
    several = int((given.sum(axis=1) >= 2).sum())
    annotators = int(given.any(axis=0).sum())
    if model == "majority" or several < MIN_ITEMS or annotators < MIN_ANNOTATORS:
        return majority(answers, n_classes)
    return one_coin(answers, n_classes)


def one_coin(
    answers: Votes,
    n_classes: int,
    *,
    prior_answers: float = PRIOR_ANSWERS,
    prior_right: float = PRIOR_RIGHT,
) -> Shares:
    """Estimate the accuracy of annotators, and from that the class of each item, by turns.

    Parameters
    ----------
    answers, n_classes : ndarray and int
        As for `weigh_answers`.
    prior_answers, prior_right : float
        See `PRIOR_ANSWERS`.

    Returns
    -------
    ndarray of shape (items, classes)
        Probabilities; zeros where there is no answer.

    Examples
    --------
    With one answer the accuracy is that of the prior, .8, and two others contradict each other:

    >>> one_coin(np.array([[1, -1], [0, 1], [-1, -1]]), 2, prior_answers=1e9).round(2).tolist()
    [[0.2, 0.8], [0.5, 0.5], [0.0, 0.0]]
    """
    patterns, place, counts = np.unique(answers, axis=0, return_inverse=True, return_counts=True)
    given = patterns != ABSTAIN
    weights = counts * (given.sum(axis=1) >= 2)
    asked = weights @ given + prior_answers
    is_class = patterns[:, :, None] == np.arange(n_classes)
    posterior = majority(patterns, n_classes)
    for _ in range(_ROUNDS):
        right = (is_class * posterior[:, None, :]).sum(axis=2)  # probability of each answer
        accuracy = (weights @ right + prior_answers * prior_right) / asked
        # Of the answer against each other class; the wrong answers are spread over these.
        odds = np.log(accuracy) - np.log((1 - accuracy) / (n_classes - 1))
        log = (is_class * odds[None, :, None]).sum(axis=1)
        now = np.exp(log - log.max(axis=1, keepdims=True))
        now /= now.sum(axis=1, keepdims=True)
        moved = np.abs(now - posterior).max(initial=0.0)
        posterior = now
        if moved < _CHANGE:
            break
    posterior[~given.any(axis=1)] = 0.0
    found: Shares = posterior[place.ravel()]
    return found
