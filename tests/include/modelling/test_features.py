from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.errors import ConfigError, DataContractError
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Input, Lake, Writer
from include.modelling.features import build_features
from include.modelling.references import index_reference, load_references
from include.use_cases import loader
from include.use_cases.loader import python_of
from include.use_cases.schema import UseCase

PLANS = pd.DataFrame({"plan": ["a", "b"], "price": [9.5, np.nan]})


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "plan": pd.Series(["b", None, "a", "z"], dtype="str"),
            "calls": pd.array([1, None, 3, 4], dtype="Int64"),
            "bill": [1.5, np.nan, 3.5, 4.5],
            "days_to_departure": [1, 2, 3, 4],
        }
    ).set_axis([7, 3, 5, 1], axis="index")


def test_features_have_the_declared_columns_types_and_the_rows_order(churn: UseCase) -> None:
    expected = pd.DataFrame(
        {
            "calls": [1.0, np.nan, 3.0, 4.0],
            "bill": [1.5, np.nan, 3.5, 4.5],
            "price": [np.nan, np.nan, 9.5, np.nan],
            "plan": pd.Series(["b", "missing", "a", "z"], index=[7, 3, 5, 1], dtype="str"),
        },
        index=[7, 3, 5, 1],
    )
    pd.testing.assert_frame_equal(
        build_features(rows(), {"plans": PLANS}, churn, python_of(churn)), expected
    )


def test_one_row_alone_has_the_features_it_has_among_others(churn: UseCase) -> None:
    together = build_features(rows(), {"plans": PLANS}, churn, python_of(churn))
    for position in range(4):
        alone = build_features(rows().iloc[[position]], {"plans": PLANS}, churn, python_of(churn))
        pd.testing.assert_frame_equal(alone, together.iloc[[position]])


def test_rows_given_are_not_changed(churn: UseCase, churn_root: Path) -> None:
    (churn_root / "churn" / "features.py").write_text(
        "def derive(frame):\n    frame['calls'] = 0\n    frame['bill'] *= 2\n    return frame\n"
    )
    given = rows()
    built = build_features(given, {"plans": PLANS}, churn, python_of(churn))
    assert built["calls"].tolist() == [0.0] * 4
    pd.testing.assert_frame_equal(given, rows())


def test_only_inputs_reach_derive(churn: UseCase, churn_root: Path) -> None:
    """What is not known at prediction time is not there to be used by accident."""
    (churn_root / "churn" / "features.py").write_text(
        "def derive(frame):\n    return frame.assign(bill=frame['days_to_departure'])\n"
    )
    with pytest.raises(KeyError, match="days_to_departure"):
        build_features(rows(), {"plans": PLANS}, churn, python_of(churn))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("frame.drop(columns='bill')", r"features names \['bill'\], which neither features.inputs"),
        ("frame.iloc[1:]", "must return a DataFrame with the rows it was given"),
        ("frame.sort_index()", "must return a DataFrame with the rows it was given"),
        ("None", "must return a DataFrame with the rows it was given"),
    ],
)
def test_a_wrong_derive_is_told(churn: UseCase, churn_root: Path, body: str, message: str) -> None:
    (churn_root / "churn" / "features.py").write_text(f"def derive(frame):\n    return {body}\n")
    with pytest.raises(ConfigError, match=message):
        build_features(rows(), {"plans": PLANS}, churn, python_of(churn))


def test_broken_rows_and_references_are_told(churn: UseCase) -> None:
    def fails(message: str, given: pd.DataFrame, references: dict[str, pd.DataFrame]) -> None:
        with pytest.raises(DataContractError, match=message):
            build_features(given, references, churn, python_of(churn))

    plans = {"plans": PLANS}
    fails(r"but lack \['calls'\]", rows().drop(columns="calls"), plans)
    fails("'bill' must be numeric, got str", rows().assign(bill="x"), plans)
    fails(
        "'bill' must be finite, got infinity in row 5", rows().assign(bill=[1, 2, np.inf, 4]), plans
    )
    fails(r"reference 'plans' is needed and was not given, only \[\]", rows(), {})
    fails(
        r"must have its key \['plan'\], but lacks \['plan'\]", rows(), {"plans": PLANS[["price"]]}
    )
    fails(r"must have its columns \['price'\], but lacks", rows(), {"plans": PLANS[["plan"]]})
    twice = pd.concat([PLANS, PLANS.tail(1)])
    fails(
        r"each key \['plan'\] once, but 1 are repeated, the first is \['b'\]",
        rows(),
        {"plans": twice},
    )


def test_references_are_read_at_the_pinned_version(
    churn: UseCase, churn_lake: Lake, first: Writer, second: Writer
) -> None:
    schema = arrow_schema(churn.ingest.references["plans"].columns)
    table = churn_lake.table("churn", "reference_plans")
    for writer, price in ((first, 1.0), (second, 2.0)):
        frame = pd.DataFrame({"plan": ["a"], "price": [price]})
        table.publish(to_arrow(frame, schema), partition="all", schema=schema, writer=writer)
    for pins, version, price in ((None, 1, 2.0), ({"churn.reference_plans": 0}, 0, 1.0)):
        references, inputs = load_references(churn, churn_lake, pins)
        assert references["plans"].values["price"].tolist() == [price]
        known = table.pin().table_id
        assert inputs == [Input("churn.reference_plans", version, None, known)]


def flight(**changes: object) -> pd.DataFrame:
    """2 January 2013, 21:15 in New York: in UTC it is the 3rd already."""
    values = {
        "time_hour": datetime(2013, 1, 3, 2, tzinfo=UTC),
        "sched_dep_time": 2115,
        "sched_arr_time": 45,
        "hour": 21,
        "minute": 15,
        "carrier": "B6",
        "tailnum": "N1",
        "origin": "JFK",
        "dest": "LAX",
        "distance": 2475,
    }
    frame = pd.DataFrame([{**values, **changes}])
    return frame.assign(time_hour=frame["time_hour"].dt.as_unit("us"))


def flight_references(**weather: float) -> dict[str, pd.DataFrame]:
    keys = flight()[["origin", "time_hour"]]
    hour = {
        "temp": 30.0,
        "dewp": 20.0,
        "humid": 50.0,
        "precip": 0.0,
        "visib": 10.0,
        "pressure": 1000.0,
        "wind_speed": 10.0,
        "wind_dir": 270.0,
        **weather,
    }
    return {
        "weather": keys.assign(**hour),
        "planes": pd.DataFrame({"tailnum": ["N1"], "year": [2003], "seats": [200]}),
    }


def features_of(
    name: str, rows: pd.DataFrame, references: dict[str, pd.DataFrame]
) -> dict[str, object]:
    use_case = loader.load(loader.ROOT / name)
    return build_features(rows, references, use_case, python_of(use_case)).iloc[0].to_dict()


def test_flight_delays_features_by_hand() -> None:
    found = features_of("flight_delays", flight(), flight_references())
    assert found == {
        "hour": 21.0,
        "minute": 15.0,
        "arrival_minute_of_day": 45.0,
        "distance": 2475.0,
        "temp": 30.0,
        "dewp": 20.0,
        "humid": 50.0,
        "wind_speed": 10.0,
        "precip": 0.0,
        "visib": 10.0,
        "pressure": 1000.0,
        "plane_age_years": 10.0,
        "seats": 200.0,
        "carrier": "B6",
        "origin": "JFK",
        "dest": "LAX",
        "day_of_week": "2",  # a Wednesday in New York
    }


def test_air_time_features_by_hand() -> None:
    found = features_of("air_time", flight(), flight_references())
    assert found["scheduled_clock_min"] == 3.5 * 60  # 21:15 to 00:45, over midnight
    assert found["wind_west"] == pytest.approx(10.0)  # 270 degrees: it blows from the west
    assert found["wind_south"] == pytest.approx(0.0, abs=1e-12)
    calm = features_of("air_time", flight(), flight_references(wind_speed=0.0, wind_dir=np.nan))
    assert (calm["wind_west"], calm["wind_south"]) == (0.0, 0.0)
    variable = features_of("air_time", flight(), flight_references(wind_dir=np.nan))
    assert np.isnan(variable["wind_west"])  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["flight_delays", "air_time"])
def test_a_wind_that_no_mast_outlives_is_missing(name: str) -> None:
    found = features_of(name, flight(), flight_references(wind_speed=1048.36))
    assert np.isnan(found["wind_speed" if name == "flight_delays" else "wind_west"])  # type: ignore[call-overload]


def test_unknown_aircraft_and_hour_leave_their_features_missing() -> None:
    found = features_of("flight_delays", flight(tailnum="N2", origin="LGA"), flight_references())
    missing = {
        name for name, value in found.items() if isinstance(value, float) and np.isnan(value)
    }
    assert missing == {
        "temp",
        "dewp",
        "humid",
        "wind_speed",
        "precip",
        "visib",
        "pressure",
        "plane_age_years",
        "seats",
    }


def test_weather_regimes_features_by_hand() -> None:
    hour = pd.DataFrame(
        {
            "origin": ["JFK"],
            "time_hour": [datetime(2013, 1, 3, tzinfo=UTC)],
            "temp": [40.0],
            "dewp": [35.0],
            "humid": [80.0],
            "wind_speed": [5.0],
            "precip": [0.01],
            "pressure": [1000.0],
            "visib": [10.0],
        }
    )
    found = features_of("weather_regimes", hour, {})
    assert found["dew_point_gap"] == 5.0
    assert found["rain_log"] == pytest.approx(np.log(2.0))


def test_a_request_does_not_pay_for_the_size_of_the_reference() -> None:
    """Serving's promise. Two sizes are compared: a time alone says how busy the machine is."""
    use_case = loader.load(loader.ROOT / "flight_delays")
    small, large = flight_references(), flight_references()
    hours = pd.date_range("2013-01-01", periods=100_000, freq="h", tz="UTC", unit="us")
    hour = small["weather"].drop(columns=["origin", "time_hour"]).iloc[0].to_dict()
    large["weather"] = pd.DataFrame({"origin": "JFK", "time_hour": hours}).assign(**hour)
    for references in (small, large):
        references["weather"] = index_reference(
            references["weather"], use_case.ingest.references["weather"], "weather"
        )
    row = flight()

    def seconds(references: dict[str, pd.DataFrame]) -> float:
        begun = time.thread_time()
        build_features(row, references, use_case, python_of(use_case))
        return time.thread_time() - begun

    for references in (small, large):  # the first request builds the indexes
        seconds(references)
    # A merge, which hashes all keys each time, takes several times as long with the large one.
    assert min(seconds(large) for _ in range(20)) < 2 * min(seconds(small) for _ in range(20))
