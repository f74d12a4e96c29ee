"""What the model of `weather_regimes` sees beyond the columns as they land."""

from __future__ import annotations

import numpy as np
import pandas as pd


def derive(frame: pd.DataFrame) -> pd.DataFrame:
    """Add how far the air is from fog, and the rain on a scale where a drizzle counts.

    Parameters
    ----------
    frame : DataFrame
        The inputs.

    Returns
    -------
    DataFrame
        The same rows with `dew_point_gap` (degrees Fahrenheit between temperature and dew point)
        and `rain_log`, `log(1 + hundredths of an inch)`: 0 is dry, 0.69 the least that a gauge
        shows.
    """
    return frame.assign(
        dew_point_gap=frame["temp"] - frame["dewp"],
        rain_log=np.log1p(100 * frame["precip"]),
    )
