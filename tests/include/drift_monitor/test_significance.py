"""The drift tests against scipy, hand-computed values, and what they promise over many windows."""

import numpy as np
import pandas as pd
import pytest
from evidently.legacy.calculations.stattests import chi_stat_test
from evidently.legacy.core import ColumnType
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from include.drift_monitor.significance import chi_square_p_value, holm, ks_p_value


def categories(**counts: int) -> pd.Series:
    return pd.Series([name for name, count in counts.items() for _ in range(count)], dtype="str")


def test_ks_worked_by_hand():
    # Shifted by 2 %, the distribution functions are D = 0.02 apart: D sqrt(n m / (n + m)) = 2, and
    # Kolmogorov's tail is 2 exp(-2 * 2^2) - 2 exp(-8 * 2^2) = 0.000671.
    reference = pd.Series(np.arange(20_000.0))
    assert ks_p_value(reference, reference + 400) == pytest.approx(0.000671, rel=0.05)
    assert ks_p_value(reference, reference) == 1.0


@pytest.mark.parametrize("rows", [200, 2000])
def test_ks_is_near_the_exact_test(rows):
    random = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.2):
        reference = pd.Series(random.normal(size=rows))
        current = pd.Series(random.normal(shift, 1, rows))
        exact = stats.ks_2samp(reference, current, method="exact").pvalue
        assert ks_p_value(reference, current) == pytest.approx(exact, rel=0.1, abs=0.01)


def test_chi_square_of_a_table_worked_by_hand():
    # Expected 40, 35, 25 on both sides: 2 (10^2/40 + 5^2/35 + 5^2/25) = 8.4286, 2 degrees of
    # freedom, for which the tail is exp(-x / 2).
    p_value = chi_square_p_value(categories(a=50, b=30, c=20), categories(a=30, b=40, c=30))
    assert p_value == pytest.approx(np.exp(-8.428571 / 2), rel=1e-6)


@given(
    st.lists(st.tuples(st.integers(20, 90), st.integers(20, 90)), min_size=2, max_size=6),
)
def test_chi_square_is_scipys_when_no_category_is_rare(counts):
    names = "abcdef"
    reference = categories(**{names[i]: r for i, (r, _) in enumerate(counts)})
    current = categories(**{names[i]: c for i, (_, c) in enumerate(counts)})
    expected = stats.chi2_contingency(np.array(counts), correction=False).pvalue
    assert chi_square_p_value(reference, current) == pytest.approx(expected, rel=1e-9)
    assert chi_square_p_value(current, reference) == pytest.approx(expected, rel=1e-9)


def test_rare_categories_are_pooled():
    # b is expected 3.5 times on each side, c 2.5 times: together they are the second category.
    reference, current = categories(a=97, b=3), categories(a=91, b=4, c=5)
    pooled = chi_square_p_value(categories(a=97, other=3), categories(a=91, other=9))
    assert chi_square_p_value(reference, current) == pytest.approx(pooled)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (categories(a=500), categories(a=300)),
        (categories(a=500), categories(a=299, new=1)),  # the new one alone is no evidence
    ],
)
def test_one_category_cannot_drift(reference, current):
    assert chi_square_p_value(reference, current) >= 0.05


def test_a_category_that_is_new_and_common_is_found():
    assert chi_square_p_value(categories(a=500), categories(a=450, new=50)) < 1e-9


def test_evidentlys_own_chi_square_cries_wolf_and_ours_does_not():
    """The reason for our own test: two samples of the same shares, at a level of 5 %."""
    random = np.random.default_rng(0)
    ours, theirs = 0, 0
    for _ in range(200):
        reference, current = (pd.Series(random.choice(list("abcdefgh"), 400)) for _ in "rc")
        ours += chi_square_p_value(reference, current) <= 0.05
        theirs += chi_stat_test(reference, current, ColumnType.Categorical, 0.05).drifted
    assert ours / 200 <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 200)
    # P(2 X > 14.07) = P(X > 7.03) for chi-square with 7 degrees of freedom.
    assert theirs / 200 == pytest.approx(stats.chi2.sf(7.03, 7), abs=0.1)


def test_holm_worked_by_hand():
    # Smallest times 4, then 3, 2, 1; never below the one before; never above 1.
    adjusted = holm({"w": 0.5, "x": 0.005, "y": 0.011, "z": 0.02})
    assert adjusted == pytest.approx({"w": 0.5, "x": 0.02, "y": 0.033, "z": 0.04})
    assert holm({}) == {}


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_holm_rejects_as_the_step_down_procedure_does(p_values, level):
    """Holm's words: go up from the smallest, stop at the first above level / (m - i)."""
    named = {f"c{i}": p for i, p in enumerate(p_values)}
    rejected = set()
    for i, name in enumerate(sorted(named, key=lambda n: named[n])):
        if named[name] * (len(named) - i) > level:
            break
        rejected.add(name)
    assert {name for name, p in holm(named).items() if p <= level} == rejected


@pytest.mark.parametrize("rows", [200, 500])
def test_no_more_false_alarms_than_promised_over_a_family_of_columns(rows):
    """200 windows without drift: normal, skewed, few values, 2, 5 and 40 categories."""
    random = np.random.default_rng(7)
    windows = 200

    def draw() -> list[pd.Series]:
        return [
            pd.Series(random.normal(size=rows)),
            pd.Series(random.lognormal(sigma=2, size=rows)),
            pd.Series(random.integers(0, 24, rows).astype(float)),
            pd.Series(random.choice(["yes", "no"], rows, p=[0.1, 0.9])),
            pd.Series(random.choice(list("abcde"), rows)),
            pd.Series((random.geometric(0.1, rows) % 40).astype(str)),
        ]

    alarms = 0
    for _ in range(windows):
        p_values = {
            str(i): (ks_p_value if i < 3 else chi_square_p_value)(r, c)
            for i, (r, c) in enumerate(zip(draw(), draw(), strict=True))
        }
        alarms += min(holm(p_values).values()) <= 0.05
    # 2.6 standard errors above the promise: 1 run in 200 would fail if the rate were exactly 5 %.
    assert alarms / windows <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / windows)
