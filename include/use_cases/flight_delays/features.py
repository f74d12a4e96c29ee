"""What the model of `flight_delays` sees beyond the columns as they land."""

from __future__ import annotations

import pandas as pd

# All flights leave from New York; which day it is there is not always the day in UTC.
_LOCAL = "America/New_York"
_HIGHEST_WIND_MPH = 200.0  # above it the anemometer is wrong: 1,048 mph at EWR on 12 February 2013


def derive(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the weekday, the scheduled arrival as minute of the day, and the aircraft's age.

    Parameters
    ----------
    frame : DataFrame
        The inputs, joined with the hour's weather and the aircraft (`year`, its year of
        manufacture).

    Returns
    -------
    DataFrame
        The same rows with `day_of_week` (`'0'` is Monday), `arrival_minute_of_day` (0 to 1439) and
        `plane_age_years`; impossible wind missing.
    """
    local = frame["time_hour"].dt.tz_convert(_LOCAL)
    arrival_hhmm = frame["sched_arr_time"]
    return frame.assign(
        day_of_week=local.dt.dayofweek.astype("str"),
        arrival_minute_of_day=arrival_hhmm // 100 * 60 + arrival_hhmm % 100,
        plane_age_years=local.dt.year - frame["year"],
        wind_speed=frame["wind_speed"].where(frame["wind_speed"] <= _HIGHEST_WIND_MPH),
    )
