"""Key, time, label and features: what is decided, what a person may say, what is refused."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from include.errors import DataContractError
from tests.include.profiling.conftest import Planned

N = 120
NUMBERS = [round(random.Random(n).gauss(5, 2), 2) for n in range(N)]  # noqa: S311
AMOUNTS = [(7 * n) % 50 for n in range(N)]
IDS = [f"c{n}" for n in range(N)]
YES = [("yes" if random.Random(n).random() < 0.3 else "no") for n in range(N)]  # noqa: S311


def months(rows: int = N) -> list[object]:
    return [f"2024-{1 + n % 2:02}-{1 + n % 28:02}" for n in range(rows)]


def roles(plan: object) -> dict[str, str]:
    return {name: role for name, _, role, _ in plan.decisions()}  # type: ignore[attr-defined]


def why(plan: object, column: str) -> str:
    return {name: told for name, _, _, told in plan.decisions()}[column]  # type: ignore[attr-defined]


# --- key


def test_the_key_is_the_unique_column_that_is_named_like_one(planned: Planned) -> None:
    plan = planned({"nick": IDS, "x": AMOUNTS, "customer_id": range(500, 500 + N), "left": YES})
    assert plan.key.columns == ["customer_id"]
    assert list(plan.columns) == ["customer_id", "x"]


def test_unique_amounts_are_no_key(planned: Planned) -> None:
    amounts = [n * n for n in range(N)]
    plan = planned({"income": amounts, "x": AMOUNTS, "left": YES})
    assert plan.key.numbered
    assert plan.key.columns == ["row_number"]
    assert "no columns name a row" in plan.key.why
    assert plan.columns == {"row_number": "int64", "income": "int64", "x": "int64"}


def test_numbers_that_count_the_rows_are_a_key(planned: Planned) -> None:
    plan = planned({"x": AMOUNTS, "which": range(10, 10 + N), "left": YES})
    assert plan.key.columns == ["which"]


def test_a_key_of_two_columns_is_found(planned: Planned) -> None:
    shop = [f"s{n // 12}" for n in range(N)]
    days = [f"2024-{1 + n % 12:02}-01" for n in range(N)]
    plan = planned({"shop": shop, "day": days, "x": AMOUNTS, "left": YES}, time="none")
    assert plan.key.columns == ["shop", "day"]
    assert plan.key.why == "together unique in every row"


def test_a_person_may_name_the_key(planned: Planned) -> None:
    columns = {"a": [n // 2 for n in range(N)], "b": [n % 2 for n in range(N)], "x": AMOUNTS}
    plan = planned({**columns, "left": YES}, key="a, b")
    assert plan.key.columns == ["a", "b"]
    assert planned({**columns, "left": YES}, key="row_number").key.numbered


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nobody", r"KEY=nobody: there is no column 'nobody'; there are \['c', .*Correct KEY"),
        ("x", r"KEY=x: must identify each row, but \{'x': '.*'\} stands there more than once"),
        ("gaps", r"KEY=gaps: 'gaps' is missing in 1 rows. .* KEY=row_number"),
        ("left", r"KEY=left: 'left' is the label"),
        ("score", r"KEY=score: 'score' has a name that is Flywheel's own; rename it"),
    ],
)
def test_a_key_that_names_no_row_is_refused(planned: Planned, key: str, message: str) -> None:
    gaps = ["", *IDS[1:]]
    with pytest.raises(DataContractError, match=message):
        planned({"c": IDS, "x": AMOUNTS, "gaps": gaps, "score": IDS, "left": YES}, key=key)


# --- time


def test_a_table_without_times_is_a_snapshot(planned: Planned) -> None:
    plan = planned({"id": IDS, "x": AMOUNTS, "left": YES})
    assert (plan.time.column, plan.time.grain, plan.cut) == (None, "day", False)


def test_months_of_a_time_column_are_partitions(planned: Planned) -> None:
    plan = planned({"id": IDS, "seen": months(), "x": AMOUNTS, "left": YES})
    assert (plan.time.column, plan.time.grain, plan.time.partitions) == ("seen", "month", 2)
    assert roles(plan) == {"id": "key", "seen": "time", "x": "numeric", "left": "label"}
    said = planned({"id": IDS, "seen": months(), "x": AMOUNTS, "left": YES}, time="none")
    assert said.time.column is None
    assert "derive what matters, such as an age, in features.py" in why(said, "seen")


def test_days_of_one_month_are_partitions_if_they_are_enough(planned: Planned) -> None:
    def plan(days: int) -> object:
        rows = 50 * days
        seen = [f"2024-05-{1 + n % days:02}" for n in range(rows)]
        left = ["yes" if n % 3 else "no" for n in range(rows)]
        return planned({"id": range(rows), "seen": seen, "x": [n % 7 for n in range(rows)],
                        "left": left}).time  # fmt: skip

    assert (plan(11).grain, plan(11).partitions) == ("day", 11)  # type: ignore[attr-defined]
    assert plan(10).column is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "cells", "message"),
    [
        (
            "signup_date",
            months(),
            r"the days of \['signup_date'\] do not look like the time of a row; TIME",
        ),
        ("seen", ["", *months()[1:]], r"the days of \['seen'\] are missing in some rows"),
        ("seen", [f"20{n % 20:02}-01-01" for n in range(N)], r"have 6 rows each; TIME=seen makes"),
    ],
)
def test_times_that_order_no_rows_make_a_snapshot(
    planned: Planned, name: str, cells: list[object], message: str
) -> None:
    plan = planned({"id": IDS, name: cells, "x": AMOUNTS, "left": YES})
    assert plan.time.column is None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(plan.time.why)


def test_a_person_may_name_the_time(planned: Planned) -> None:
    plan = planned({"id": IDS, "born": months(), "x": AMOUNTS, "left": YES}, time="born")
    assert plan.time.column == "born"


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("never", r"TIME=never: there is no such column; .* TIME=none"),
        ("x", r"TIME=x: must be a column of days or times, but 'x' holds int64"),
        ("mixed", r"but 'mixed' dates in 3 formats \(%Y-%m-%d, %d.%m.%Y, %m/%d/%Y\)"),
        ("gaps", r"TIME=gaps: each row must have its time, but 1 have none"),
        ("once", r"TIME=once: all rows lie in one month and in fewer than 11 days"),
    ],
)
def test_a_time_that_orders_no_rows_is_refused(planned: Planned, time: str, message: str) -> None:
    mixed = ["2024-01-31", "31.01.2024", "01/31/2024"] * (N // 3)
    columns = {
        "id": IDS, "x": AMOUNTS, "mixed": mixed, "gaps": ["", *months()[1:]],
        "once": ["2024-01-01"] * N, "left": YES,
    }  # fmt: skip
    with pytest.raises(DataContractError, match=message):
        planned(columns, time=time)


# --- label


def test_the_label_is_found_by_name_then_as_the_only_one_of_two_values(planned: Planned) -> None:
    other = ["a", "b"] * (N // 2)
    assert planned({"id": IDS, "Churn": YES, "x": AMOUNTS, "z": other}).outcome.column == "Churn"
    sex = ["m", "f"] * (N // 2)
    plan = planned({"id": IDS, "sex": sex, "bought": YES, "x": AMOUNTS})
    assert plan.outcome.column == "bought"
    assert (
        planned({"id": IDS, "sex": sex, "x": NUMBERS, "y2": NUMBERS[::-1]}).outcome.column == "y2"
    )


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (YES, "string", {"yes": 1, "no": 0}),
        ([cell == "yes" for cell in YES], "bool", {}),
        ([int(cell == "yes") for cell in YES], "int64", {"1": 1, "0": 0}),
        ([float(cell == "yes") for cell in YES], "float64", {"1": 1, "0": 0}),
        # No word says which: the rarer is class 1.
        (["red" if cell == "yes" else "blue" for cell in YES], "string", {"red": 1, "blue": 0}),
        # Several spellings of one word are one class.
        (["JA", *("ja" if cell == "yes" else "nein" for cell in YES[1:])], "string",
         {"JA": 1, "ja": 1, "nein": 0}),
    ],
)  # fmt: skip
def test_two_values_are_classes(
    planned: Planned, cells: list[object], kind: str, classes: dict[str, int]
) -> None:
    outcome = planned({"id": IDS, "x": AMOUNTS, "left": cells}, label="left").outcome
    assert (outcome.task, outcome.kind, outcome.classes) == ("classification", kind, classes)
    assert outcome.metric == "roc_auc"
    assert 0.2 < outcome.labels.mean() < 0.4


def test_a_rare_class_is_judged_by_average_precision(planned: Planned) -> None:
    rows = 400
    left = ["yes" if n % 36 == 0 else "no" for n in range(rows)]
    plan = planned({"id": range(rows), "x": [n % 7 for n in range(rows)], "left": left})
    assert plan.outcome.metric == "average_precision"


def test_numbers_are_a_regression(planned: Planned) -> None:
    outcome = planned({"id": IDS, "x": AMOUNTS, "price": NUMBERS}, label="price").outcome
    assert (outcome.task, outcome.metric, outcome.kind) == ("regression", "mae", "float64")


def test_rows_without_a_label_are_told(planned: Planned) -> None:
    plan = planned({"id": IDS, "x": AMOUNTS, "left": [*YES[:90], *[""] * 30]})
    assert plan.coverage == 0.75
    assert plan.outcome.why.endswith("25.0% of rows have no label, and are not learned from")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("nobody", r"LABEL=nobody: there is no such column; there are \['id'"),
        ("same", r"LABEL=same: is 'no' in each row that has one, so there is nothing to learn"),
        ("empty", r"LABEL=empty: no row has a value"),
        ("few", r"LABEL=few: 49 rows have a label; a first model needs 50"),
        ("text", r"LABEL=text: has another text in nearly each row"),
        ("counts", r"LABEL=counts: counts the rows. Name the column to predict"),
        ("once", r"LABEL=once: 1 rows are 'yes'; a first model needs 10 of each class"),
        ("day", r"LABEL=day: holds times"),
    ],
)
def test_a_label_that_cannot_be_learned_is_refused(
    planned: Planned, label: str, message: str
) -> None:
    columns = {
        "id": IDS, "x": AMOUNTS, "same": ["no"] * N, "empty": [""] * N,
        "few": [*YES[:49], *[""] * (N - 49)], "text": IDS, "counts": range(N),
        "once": ["yes", *["no"] * (N - 1)], "day": months(),
    }  # fmt: skip
    with pytest.raises(DataContractError, match=message):
        planned(columns, label=label)


# --- features


def test_what_a_model_cannot_use_is_left_out_with_the_reason(planned: Planned) -> None:
    columns = {
        "id": IDS, "x": AMOUNTS, "plan": ["a", "b", "c"] * (N // 3),
        "name": [f"n{n}" for n in range(N)],
        "same": [1] * N, "nothing": [""] * N, "rare": ["5", "6", *[""] * (N - 2)],
        "afterwards": [{"yes": "gone", "no": "here"}[cell] for cell in YES],
        "prediction": AMOUNTS, "_draft": AMOUNTS, "left": YES,
    }  # fmt: skip
    plan = planned(columns, label="left")
    assert (plan.numeric, plan.categorical) == (["x"], ["plan"])
    for column, reason in {
        "name": "texts that hardly repeat (120 distinct ones)",
        "same": "is always '1'",
        "nothing": "has no values",
        "rare": "missing in 98.3% of rows",
        "afterwards": "predicts 'left' without error",
        "prediction": "has a name that is Flywheel's own; rename it in the file to use it",
        "_draft": "has a name that is Flywheel's own",
    }.items():
        assert reason in why(plan, column)
        assert column not in plan.columns


def test_a_number_that_tells_the_label_is_left_out(planned: Planned) -> None:
    square = [number**3 for number in NUMBERS]
    plan = planned({"id": IDS, "x": AMOUNTS, "same": square, "price": NUMBERS}, label="price")
    assert plan.numeric == ["x"]
    parted = [n % 7 + 100.5 * (cell == "yes") for n, cell in enumerate(YES)]
    wide = [number + n / 1000 for n, number in enumerate(parted)]
    plan = planned({"id": IDS, "x": AMOUNTS, "score2": wide, "left": YES})
    assert plan.numeric == ["x"]


def test_nothing_to_predict_from_is_told(planned: Planned) -> None:
    with pytest.raises(DataContractError, match=r"no column is left .* name: texts that hardly"):
        planned({"id": IDS, "name": [f"n{n}" for n in range(N)], "left": YES})


def test_a_column_named_label_is_the_label(planned: Planned) -> None:
    plan = planned({"id": IDS, "x": AMOUNTS, "label": YES})
    assert (plan.outcome.column, "label" in plan.columns) == ("label", False)


# --- questions


def test_at_most_three_questions_are_asked_each_with_a_default(planned: Planned) -> None:
    asked = []

    def ask(variable: str, default: str, why: str) -> str:
        asked.append((variable, default))
        return {"TIME": "none"}.get(variable, default)

    columns = {"id": IDS, "seen": months(), "x": AMOUNTS, "left": YES}
    plan = planned(columns, ask=ask)
    assert asked == [("LABEL", "left"), ("KEY", "id"), ("TIME", "seen")]
    assert plan.time.column is None

    asked.clear()
    planned(columns, label="left", key="id", time="seen", ask=ask)
    assert asked == []


def panel(label: Callable[[int, int], object]) -> dict[str, list[object]]:
    """Sixty countries in twelve years."""
    rows = [(country, year) for country in range(60) for year in range(12)]
    return {
        "country": [f"country {country}" for country, _ in rows],
        "year": [2000 + year for _, year in rows],
        "wealth": [(country * 37 + year * 11) % 101 for country, year in rows],
        "left": [label(country, year) for country, year in rows],
    }


def test_a_country_and_a_year_name_a_row_and_countries_are_held_out_whole(planned: Planned) -> None:
    plan = planned(panel(lambda country, year: "yes" if (country + year) % 3 else "no"))
    assert plan.key.columns == ["country", "year"]
    assert plan.split[0] == "group:country"


def test_a_text_that_tells_the_label_in_all_its_rows_is_left_out(planned: Planned) -> None:
    plan = planned(panel(lambda country, _: "yes" if country % 3 else "no"), key="row_number")
    (role,) = [role for role in plan.roles if role.column == "country"]
    assert role.kind == "left out"
    assert "predicts 'left' without error" in role.why
    assert plan.split[0] == "random"


def test_yes_is_class_1_though_it_is_the_commoner(planned: Planned) -> None:
    label = ["no" if number % 4 == 0 else "yes" for number in range(len(IDS))]
    outcome = planned({"id": IDS, "x": AMOUNTS, "left": label}, label="left").outcome
    assert outcome.labels.mean() > 0.7
    assert "class 1 is 'yes', by its name" in outcome.why


def test_a_text_of_which_one_value_tells_the_label_is_a_feature(planned: Planned) -> None:
    label = ["yes" if number % 3 == 0 else "no" for number in range(len(IDS))]
    text = ["sure" if number % 9 == 0 else "open" for number in range(len(IDS))]
    plan = planned({"id": IDS, "x": AMOUNTS, "left": label, "text": text}, label="left")
    assert plan.categorical == ["text"]
