"""How far annotators agree, beyond what chance would give, and how good each of them is.

Answers are a frame with a row for each item and a column for each annotator; a missing answer is
NaN or None. Coefficients are 1 where all agree, 0 where they agree as often as by chance, and NaN
where they are not defined (nobody ever used a second class).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from include.errors import DataContractError

RELIABLE = 0.667
"""Krippendorff (2004), "Content Analysis", 2nd edition, p. 241: below it no conclusion should be
drawn from the answers, and from .8 on they can be relied on."""
_ON_GOLD = ["answered", "right", "lower", "upper"]


def cohens_kappa(answers: pd.DataFrame) -> float:
    """Cohen's (1960) kappa of two annotators, on the items that both answered: scikit-learn's.

    Raises
    ------
    DataContractError
        There are not two annotators, or no item that both answered.
    """
    from sklearn.metrics import cohen_kappa_score

    if answers.shape[1] != 2:
        raise DataContractError(
            f"Cohen's kappa is for two annotators, got {list(answers.columns)}. Choose two, or use "
            "krippendorffs_alpha."
        )
    both = answers.dropna()
    _some(len(both), "item that both annotators answered")
    first, second = (both[name].astype(str) for name in both)
    if first.nunique() == 1 and first.equals(second):
        return float("nan")  # agreement by chance is 1, too
    return float(cohen_kappa_score(first, second))


def fleiss_kappa(answers: pd.DataFrame) -> float:
    """Fleiss' (1971) kappa of several annotators who answered every item: statsmodels'.

    Raises
    ------
    DataContractError
        An answer is missing.
    """
    from statsmodels.stats.inter_rater import aggregate_raters  # type: ignore[import-untyped]
    from statsmodels.stats.inter_rater import fleiss_kappa as of_counts

    if answers.isna().to_numpy().any():
        raise DataContractError(
            "Fleiss' kappa needs an answer of each annotator on each item, but some are missing. "
            "Use krippendorffs_alpha."
        )
    _some(len(answers), "item")
    codes, _ = pd.factorize(answers.to_numpy().ravel())
    if codes.max() == 0:
        return float("nan")
    counts, _ = aggregate_raters(codes.reshape(answers.shape))
    return float(of_counts(counts))


def krippendorffs_alpha(answers: pd.DataFrame) -> float:
    """Krippendorff's (2011) alpha for nominal answers, of which some may be missing.

    1 - observed / expected disagreement, over the pairs of answers to one item; items with a single
    answer do not count. The package `krippendorff` computes the same, under the GPL.

    Raises
    ------
    DataContractError
        No item has two answers.
    """
    codes, _ = pd.factorize(answers.to_numpy().ravel())
    codes = codes.reshape(answers.shape)  # -1 where missing
    counts = np.stack([(codes == one).sum(axis=1) for one in range(codes.max() + 1)], axis=1)
    counts = counts[counts.sum(axis=1) >= 2]
    _some(len(counts), "item with two answers")
    of_item = counts.sum(axis=1)
    pairs = (of_item**2 - (counts**2).sum(axis=1)) / (of_item - 1)
    total, of_class = counts.sum(), counts.sum(axis=0)
    expected = (total**2 - (of_class**2).sum()) / (total - 1)
    return float(1 - pairs.sum() / expected) if expected else float("nan")


def on_gold(answers: pd.DataFrame, gold: Mapping[Any, Any]) -> pd.DataFrame:
    """Measure each annotator on gold items, whose answer is known.

    Parameters
    ----------
    answers : DataFrame
        Indexed by item.
    gold : mapping
        The right answer, by item.

    Returns
    -------
    DataFrame
        By annotator: `answered` gold items, the share that was `right`, and the bounds of its
        Wilson (1927) interval of 95 %, `lower` and `upper`: .44 and 1 with three of three right.
    """
    from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

    rows: dict[Any, dict[str, float]] = {}
    for name in answers:
        said = answers[name].dropna()
        asked = [item for item in gold if item in said.index]
        right = sum(said[item] == gold[item] for item in asked)
        share = lower = upper = np.nan
        if asked:
            share = right / len(asked)
            lower, upper = proportion_confint(right, len(asked), 0.05, method="wilson")
        rows[name] = {"answered": len(asked), "right": share, "lower": lower, "upper": upper}
    # Named, so that they are there also before anybody has answered a gold item.
    return pd.DataFrame.from_dict(rows, orient="index", columns=_ON_GOLD)


def below(measured: pd.DataFrame, limit: float) -> list[str]:
    """Name the annotators who are surely not as good as a limit: their upper bound is below it.

    A few wrong answers are no proof: with a limit of .7 it takes three wrong of three.

    Parameters
    ----------
    measured : DataFrame
        As `on_gold` gives it.
    limit : float
        An accuracy.
    """
    return sorted(str(name) for name, upper in measured["upper"].items() if upper < limit)


def _some(count: int, what: str) -> None:
    if count == 0:
        raise DataContractError(f"agreement needs at least one {what}, got none. Ask for more.")
