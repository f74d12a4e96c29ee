"""What the model of `air_time` sees beyond the columns as they land."""

from __future__ import annotations

import numpy as np
import pandas as pd

_HIGHEST_WIND_MPH = 200.0  # above it the anemometer is wrong: 1,048 mph at EWR on 12 February 2013
_DAY_MIN = 24 * 60


def derive(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the scheduled duration, the wind by its two components, and the aircraft's age.

    Parameters
    ----------
    frame : DataFrame
        The inputs, joined with the hour's weather and the aircraft (`year`, its year of
        manufacture).

    Returns
    -------
    DataFrame
        The same rows with `scheduled_clock_min` (local arrival less local departure, so the
        difference of the time zones is in it), `wind_west` and `wind_south` (miles an hour blowing
        from there), and `plane_age_years`.
    """
    speed = frame["wind_speed"].where(frame["wind_speed"] <= _HIGHEST_WIND_MPH)
    # A calm hour has no direction; both components are 0 then, not missing.
    direction = np.deg2rad(frame["wind_dir"].where(speed != 0, 0.0))
    clock_min = _minute(frame["sched_arr_time"]) - _minute(frame["sched_dep_time"])
    return frame.assign(
        scheduled_clock_min=clock_min % _DAY_MIN,
        wind_west=-speed * np.sin(direction),
        wind_south=-speed * np.cos(direction),
        plane_age_years=frame["time_hour"].dt.year - frame["year"],
    )


def _minute(hhmm: pd.Series) -> pd.Series:
    return hhmm // 100 * 60 + hhmm % 100
