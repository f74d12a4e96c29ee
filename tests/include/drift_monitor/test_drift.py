"""What Evidently answers, held against scipy, and the verdicts made of it."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from include.drift_monitor import drift
from include.drift_monitor.drift import PREDICTION, Shift, judge, make_sides, sample
from include.drift_monitor.significance import chi_square_p_value

RATE, EFFECT = 0.05, 0.1


def frame(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "moved": random.normal(shift, 1, rows),
            "calm": random.normal(0, 1, rows),
            "hour": random.integers(0, 24, rows).astype(float),
            "colour": random.choice(["red", "green", "blue"], rows),
            PREDICTION: random.beta(2, 5, rows),
        }
    )


def shifts_of(reference: pd.DataFrame, current: pd.DataFrame, **limits: float) -> dict[str, Shift]:
    sides = make_sides(
        reference,
        current,
        [c for c in reference if c != "colour"],
        [c for c in reference if c == "colour"],
    )
    limits = {"max_false_alarm_rate": RATE, "min_effect": EFFECT, **limits}
    _, shifts = drift.compare(sides, **limits)
    return {s.name: s for s in shifts}


def distance(reference: pd.Series, current: pd.Series) -> float:
    """Jensen-Shannon distance of histograms over common bins, or of shares of values."""
    if reference.dtype.kind == "f" and reference.nunique() > 20 and reference.name != "hour":
        edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
        return jensenshannon(np.histogram(reference, edges)[0], np.histogram(current, edges)[0])
    shares = pd.DataFrame({"r": reference.value_counts(), "c": current.value_counts()}).fillna(0)
    return jensenshannon(shares["r"], shares["c"])


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_numbers_are_scipys(shift):
    reference, current = frame(600, 1), frame(500, 2, shift)
    found = shifts_of(reference, current)
    assert list(found) == [PREDICTION, "moved", "calm", "hour", "colour"]
    raw = {
        name: stats.ks_2samp(reference[name], current[name], method="asymp").pvalue
        for name in ("moved", "calm", "hour", PREDICTION)
    } | {"colour": chi_square_p_value(reference["colour"], current["colour"])}
    for name in ("moved", "calm", "colour", PREDICTION):
        assert found[name].distance == pytest.approx(distance(reference[name], current[name]))
    # The prediction stands alone; the smallest of four features is multiplied by 4.
    assert found[PREDICTION].p_value == pytest.approx(raw.pop(PREDICTION))
    smallest = min(raw, key=lambda name: raw[name])
    assert found[smallest].p_value == pytest.approx(min(1.0, 4 * raw[smallest]))


def test_a_real_shift_is_found_and_only_where_it_is():
    found = shifts_of(frame(1000, 1), frame(1000, 2, shift=0.5))
    assert [name for name, shift in found.items() if shift.drifted] == ["moved"]


def test_the_report_says_drift_where_we_say_it(tmp_path):
    reference, current = frame(250, 1), frame(250, 2, shift=0.5)
    sides = make_sides(reference, current, ["moved", "calm", PREDICTION], ["colour"])
    snapshot, shifts = drift.compare(sides, max_false_alarm_rate=RATE, min_effect=EFFECT)
    snapshot.save_html(str(tmp_path / "report.html"))
    html = (tmp_path / "report.html").read_text()
    said = dict(re.findall(r"Drift in column '(\w+)'\W+label\W+Data drift (not )?detected", html))
    assert said == {s.name: "" if s.drifted else "not " for s in shifts}
    # With few rows the distance alone would have said more.
    assert any(s.distance >= EFFECT and not s.drifted for s in shifts)


def test_a_change_of_shares_is_found():
    current = frame(1000, 2)
    current.loc[current["colour"] == "blue", "colour"] = "red"
    found = shifts_of(frame(1000, 1), current)
    assert [name for name, shift in found.items() if shift.drifted] == ["colour"]


@pytest.mark.parametrize("rows", [250, 1000])
def test_real_shifts_of_the_prediction_are_found_at_once(rows):
    """20 windows each: late flights go from 13 % (September) to 32 % (December)."""
    random = np.random.default_rng(3)
    found = 0
    for _ in range(20):
        calm, late = (
            pd.DataFrame({PREDICTION: random.beta(a, b, rows)}) for a, b in ((1.3, 8.7), (3.2, 6.8))
        )
        found += shifts_of(calm, late)[PREDICTION].drifted
    assert found == 20


@pytest.mark.parametrize(
    ("p_value", "far", "drifted"),
    [
        (0.05, 0.1, True),  # both limits count
        (0.051, 0.5, False),  # large, and chance
        (0.001, 0.099, False),  # real, and too small to matter
        (1.0, 0.0, False),
    ],
)
def test_drift_is_both_significant_and_large(p_value, far, drifted):
    shift = judge("x", p_value, far, max_false_alarm_rate=RATE, min_effect=EFFECT)
    assert shift == Shift("x", p_value, far, drifted)


def test_limits_are_those_given():
    reference, current = frame(1000, 1), frame(1000, 2, shift=0.5)
    assert not shifts_of(reference, current, min_effect=0.5)["moved"].drifted
    assert not shifts_of(reference, current, max_false_alarm_rate=1e-30)["moved"].drifted


def test_numbers_that_go_missing_are_drift():
    reference, current = frame(600, 1), frame(600, 2)
    current.loc[:299, "calm"] = np.nan
    found = shifts_of(reference, current)
    # 0 % against 50 % missing: half the mass of one side has no counterpart.
    assert found["calm (missing)"].drifted
    assert found["calm (missing)"].distance == pytest.approx(jensenshannon([1, 0], [0.5, 0.5]))
    assert not found["calm"].drifted
    assert "moved (missing)" not in found


def test_a_column_missing_altogether_is_judged_by_that_alone():
    reference, current = frame(600, 1), frame(600, 2)
    current["calm"] = np.nan
    found = shifts_of(reference, current)
    assert "calm" not in found
    assert found["calm (missing)"].distance == pytest.approx(np.sqrt(np.log(2)))


def test_as_much_missing_as_before_is_not_drift():
    reference, current = frame(600, 1), frame(600, 2)
    reference.loc[::10, "calm"] = np.nan
    current.loc[::10, "calm"] = np.nan
    found = shifts_of(reference, current)
    assert (found["calm (missing)"].p_value, found["calm (missing)"].distance) == (1.0, 0.0)


def test_a_constant_column_does_not_drift_until_it_changes():
    reference, current = frame(600, 1), frame(600, 2)
    reference["calm"], current["calm"] = 3.0, 3.0
    assert shifts_of(reference, current)["calm"] == Shift("calm", 1.0, 0.0, False)
    assert shifts_of(reference, current.assign(calm=4.0))["calm"].drifted


def test_inputs_are_left_alone():
    reference, current = frame(300, 1), frame(300, 2)
    current.loc[0, "calm"] = np.nan
    before = current.copy()
    make_sides(reference, current, ["calm"], ["colour"])
    pd.testing.assert_frame_equal(current, before)


def test_sampling_is_the_same_each_time_and_keeps_small_frames_whole():
    big = frame(1000, 1)
    first, second = sample(big, 200), sample(big, 200)
    pd.testing.assert_frame_equal(first, second)
    assert len(first) == 200
    assert set(first.index) <= set(big.index)
    assert sample(big, 1000) is big
