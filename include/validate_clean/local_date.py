"""An expectation that Great Expectations lacks: a date in columns must be that of a timestamp."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import MulticolumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    MulticolumnMapMetricProvider,
)
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_condition_partial import (  # noqa: E501
    multicolumn_condition_partial,
)

_METRIC = "multicolumn_values.local_date"


def date_matches(columns: pd.DataFrame, time_zone: str) -> pd.Series:
    """Tell which rows have the date of their timestamp.

    Parameters
    ----------
    columns : DataFrame
        A timestamp with a zone, a year, a month and a day, in this order.
    time_zone : str
        Where the date was read off a calendar, such as `America/New_York`.

    Returns
    -------
    Series of bool
        False as well where one of the four is missing.
    """
    time, year, month, day = (columns.iloc[:, position] for position in range(4))
    local = time.dt.tz_convert(time_zone).dt
    same: pd.Series = (local.year == year) & (local.month == month) & (local.day == day)
    return same


class LocalDateOfTime(MulticolumnMapMetricProvider):  # type: ignore[misc]
    """Tells Great Expectations which rows `date_matches`."""

    condition_metric_name = _METRIC
    condition_domain_keys = (
        "batch_id",
        "table",
        "column_list",
        "row_condition",
        "condition_parser",
        "ignore_row_if",
    )
    condition_value_keys = ("time_zone",)

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pd.DataFrame, time_zone: str, **_: object) -> pd.Series:  # noqa: N805 - the decorator makes it a class method
        return date_matches(column_list, time_zone)


class ExpectLocalDateToMatchTime(MulticolumnMapExpectation):  # type: ignore[misc]
    """Expect that year, month and day are the date of a timestamp, where it was written down.

    In a suite: `expectation: expect_local_date_to_match_time`, `column_list: [<timestamp>, <year>,
    <month>, <day>]` and `time_zone`, a name of the IANA database.
    """

    time_zone: str

    map_metric: ClassVar[str] = _METRIC
    success_keys: ClassVar[tuple[str, ...]] = ("time_zone", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column_list", "time_zone")
