"""Whether a change can be chance: two-sample tests, and Holm's correction for testing many columns.

Not Evidently's `chisquare`: it takes the reference's counts for the true shares. With two samples
of equal size that doubles the statistic's expectation: at a level of 5 % a column with 8 categories
is flagged in about 40 % of windows without drift, and one new category gives p = 0. Nor its `ks`,
which counts paths exactly up to 10,000 rows: 0.1 s a column where both sides differ in size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

MIN_EXPECTED = 5.0
"""Categories expected less often are pooled (Cochran 1954, Biometrics 10, 417-451)."""


def ks_p_value(reference: pd.Series[float], current: pd.Series[float]) -> float:
    """Test whether two samples of numbers come from one distribution.

    The two-sample Kolmogorov-Smirnov test: the largest distance D of both distribution functions,
    held against its distribution for one sample of the effective size n m / (n + m)
    (scipy's `asymp`; Hodges 1958, Arkiv för Matematik 3, 469-486). Equal values, as in whole hours,
    make it cautious, never rash.

    Parameters
    ----------
    reference, current : Series
        At least one number each, none missing.
    """
    return float(stats.ks_2samp(reference, current, method="asymp").pvalue)


def chi_square_p_value(reference: pd.Series, current: pd.Series) -> float:
    """Test whether two samples of categories come from one distribution.

    Pearson's chi-square test of homogeneity: with `O` the 2 x K table of counts and `E = row *
    column / total`, the sum of `(O - E)^2 / E` follows chi-square with K - 1 degrees of freedom
    (Agresti 2013, Categorical Data Analysis, 3.2).

    Parameters
    ----------
    reference, current : Series
        One category a row.

    Returns
    -------
    float
        The p-value; 1.0 when one category is left after pooling the rare ones.

    Examples
    --------
    2 (10^2 / 60 + 10^2 / 40) = 8.33 with 1 degree of freedom:

    >>> even, odd = pd.Series(["a", "b"] * 50), pd.Series(["a"] * 70 + ["b"] * 30)
    >>> round(chi_square_p_value(even, odd), 4)
    0.0039
    """
    counts = pd.DataFrame({"r": reference.value_counts(), "c": current.value_counts()}).fillna(0.0)
    table = counts.to_numpy(dtype=float)
    smaller_share = table.sum(axis=0).min() / table.sum()
    rare = table.sum(axis=1) * smaller_share < MIN_EXPECTED
    if rare.any():
        table = np.vstack([table[~rare], table[rare].sum(axis=0)])
    if len(table) < 2:
        return 1.0
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust p-values so that the chance of any false alarm among all of them stays at the level.

    Holm's step-down procedure (Holm 1979, Scand. J. Statist. 6, 65-70): the i-th smallest of m is
    multiplied by m - i + 1, made monotone and cut at 1. Valid whatever the dependence between
    columns.

    Examples
    --------
    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    adjusted: dict[str, float] = {}
    so_far = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        so_far = max(so_far, min(1.0, p_values[name] * (len(p_values) - rank)))
        adjusted[name] = so_far
    return {name: adjusted[name] for name in p_values}
