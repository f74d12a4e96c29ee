from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from include.due.definitions import definition_of
from include.due.state import states
from include.errors import ConfigError, DataContractError
from include.ingest_label.ingest import (
    ingest_labels,
    ingest_reference,
    ingest_rows,
    wanted_landed,
    wanted_of,
)
from include.ingest_label.inventory import take
from include.ingest_label.landing import Landing
from include.lake.content import content_version
from include.lake.table import Lake, Writer
from include.use_cases.loader import load, load_text
from include.use_cases.schema import UseCase

CONFS = Path(__file__).parents[1] / "use_cases" / "confs"
DAY = "2024-05-01"
ROWS = """customer,seen_at,plan,calls,bill
1,2024-05-01T00:00:00Z,basic,3,10.5
2,2024-05-01T23:59:59Z,,0,
"""
OUTCOMES = """customer,seen_at,days_to_departure
1,2024-05-01T00:00:00Z,30
2,2024-05-01T23:59:59Z,31
3,2024-05-01T12:00:00Z,
"""
PLANS = "plan,price\nbasic,9.5\ngold,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "landing"


@pytest.fixture
def landing(folder: Path) -> Landing:
    """Land rows, outcomes and plans of one day."""
    for path, text in {
        f"customers/{DAY}/a.csv": ROWS,
        f"departures/{DAY}/a.csv": OUTCOMES,
        "plans/plans.csv": PLANS,
    }.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    return Landing(str(folder))


def due(
    use_case: UseCase, landing: Landing, lake: Lake, status: str = "due"
) -> dict[str, list[str]]:
    """Return what is to be ingested, by table; or what is of another status."""
    found = {
        stage: [
            key
            for key, state in states(use_case.name, stage, of_stage, lake).items()
            if state.status == status
        ]
        for stage, of_stage in wanted_landed(use_case, landing, lake).items()
    }
    return {stage: keys for stage, keys in found.items() if keys}


def test_all_that_landed_is_work_until_it_is_ingested(
    churn: UseCase, landing: Landing, churn_lake: Lake, first: Writer
) -> None:
    assert due(churn, landing, churn_lake) == {
        "raw": [DAY],
        "labels": [DAY],
        "reference_plans": ["all"],
    }
    ingest_rows(churn, DAY, landing, churn_lake, first)
    assert due(churn, landing, churn_lake) == {"labels": [DAY], "reference_plans": ["all"]}
    ingest_labels(churn, DAY, landing, churn_lake, first)
    ingest_reference(churn, "plans", "all", landing, churn_lake, first)
    assert due(churn, landing, churn_lake) == {}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def number(*contents: str) -> int:
    """Compute the number of contents by hand: the first 63 bits of the digest of their digests."""
    text = "\n".join(sha256(content) for content in contents)
    return int(sha256(text)[:16], 16) >> 1


def test_what_is_wanted_is_the_content_that_landed_and_how_it_is_declared(
    churn: UseCase, landing: Landing, churn_lake: Lake, first: Writer, tmp_path: Path
) -> None:
    for stage, key, content in (
        ("raw", DAY, ROWS),
        ("labels", DAY, OUTCOMES),
        ("reference_plans", "all", PLANS),
    ):
        inventory = take(churn, stage, landing, churn_lake, first)
        assert wanted_of(churn, inventory) == {
            key: {"landing": number(content), "definition": definition_of(churn, stage)}
        }
    empty = Landing(str(tmp_path / "empty"))
    assert not any(wanted_landed(churn, empty, churn_lake).values())


def test_a_use_case_without_labels_wants_none(
    churn: UseCase, landing: Landing, churn_lake: Lake
) -> None:
    without = churn.model_copy(update={"labels": None})
    assert list(wanted_landed(without, landing, churn_lake)) == ["raw", "reference_plans"]


def test_a_declaration_that_changes_no_row_is_out_of_date_until_it_is_ingested(
    churn: UseCase,
    churn_root: Path,
    landing: Landing,
    churn_lake: Lake,
    first: Writer,
    second: Writer,
) -> None:
    ingest_labels(churn, DAY, landing, churn_lake, first)
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace('"<= 30"', '"< 31"'))
    changed = load(churn_root / "churn")
    assert due(changed, landing, churn_lake, "out of date") == {"labels": [DAY]}
    assert not ingest_labels(changed, DAY, landing, churn_lake, second).changed
    assert due(changed, landing, churn_lake, "out of date") == {}


def test_what_lands_again_is_work_again(
    churn: UseCase, landing: Landing, folder: Path, churn_lake: Lake, first: Writer, second: Writer
) -> None:
    ingest_rows(churn, DAY, landing, churn_lake, first)
    (folder / f"customers/{DAY}/b.csv").write_text(
        "customer,seen_at,plan,calls,bill\n7,2024-05-01T00:00:00Z,gold,1,2\n"
    )
    assert due(churn, landing, churn_lake)["raw"] == [DAY]
    done = ingest_rows(churn, DAY, landing, churn_lake, second)
    assert (done.rows, done.files, done.version, done.changed) == (3, 2, 1, True)
    assert churn_lake.table("churn", "raw").read()["customer"].to_pylist() == [1, 2, 7]
    assert "raw" not in due(churn, landing, churn_lake)


def test_rows_arrive_as_they_landed(
    churn: UseCase, landing: Landing, churn_lake: Lake, first: Writer
) -> None:
    done = ingest_rows(churn, DAY, landing, churn_lake, first)
    raw = churn_lake.table("churn", "raw")
    assert dataclasses.asdict(done) == {
        "partition": DAY,
        "rows": 2,
        "files": 1,
        "gone": [],
        "version": 0,
        "partition_version": content_version(raw.read(columns=list(churn.ingest.columns))),
        "changed": True,
    }
    assert raw.facts(DAY)["facts"] == {"files": 1, "files_gone": 0}
    assert raw.read().to_pylist()[1] == {
        "customer": 2,
        "seen_at": datetime(2024, 5, 1, 23, 59, 59, tzinfo=UTC),
        "plan": None,
        "calls": 0,
        "bill": None,
        "_file": sha256(ROWS)[:16],
        "partition": DAY,
    }


def test_labels_are_read_off_outcomes_that_are_known(
    churn: UseCase, landing: Landing, churn_lake: Lake, first: Writer
) -> None:
    done = ingest_labels(churn, DAY, landing, churn_lake, first)
    assert (done.rows, done.without_outcome, done.positive_share) == (2, 1, 0.5)
    assert json.loads(json.dumps(dataclasses.asdict(done)))["partition"] == DAY
    labels = churn_lake.table("churn", "labels").read()
    assert labels.column_names == ["customer", "seen_at", "label", "_file", "partition"]
    assert dict(zip(labels["customer"].to_pylist(), labels["label"].to_pylist(), strict=True)) == {
        1: 1,
        2: 0,
    }


def test_a_changed_rule_puts_labels_out_of_date(
    churn: UseCase,
    churn_root: Path,
    landing: Landing,
    churn_lake: Lake,
    first: Writer,
    second: Writer,
) -> None:
    ingest_labels(churn, DAY, landing, churn_lake, first)
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace('"<= 30"', '"<= 60"'))
    changed = load(churn_root / "churn")
    assert due(changed, landing, churn_lake, "out of date") == {"labels": [DAY]}
    assert ingest_labels(changed, DAY, landing, churn_lake, second).positive_share == 1.0
    assert due(changed, landing, churn_lake, "out of date") == {}


def test_references_are_published_when_they_landed(
    churn: UseCase, landing: Landing, churn_lake: Lake, first: Writer
) -> None:
    done = ingest_reference(churn, "plans", "all", landing, churn_lake, first)
    assert (done.name, done.partition, done.rows, done.changed) == ("plans", "all", 2, True)
    assert churn_lake.table("churn", "reference_plans").read(
        columns=["plan", "price"]
    ).to_pylist() == [
        {"plan": "basic", "price": 9.5},
        {"plan": "gold", "price": None},
    ]
    assert "reference_plans" not in due(churn, landing, churn_lake)


def test_a_reference_may_land_by_partition(
    churn: UseCase,
    churn_root: Path,
    landing: Landing,
    folder: Path,
    churn_lake: Lake,
    first: Writer,
) -> None:
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace("plans/*.csv", "'plans/{partition}/*.csv'"))
    use_case = load(churn_root / "churn")
    for day in (DAY, "2024-05-02"):
        (folder / "plans" / day).mkdir()
        (folder / "plans" / day / "plans.csv").write_text(PLANS)
    assert due(use_case, landing, churn_lake)["reference_plans"] == [DAY, "2024-05-02"]
    done = ingest_reference(use_case, "plans", DAY, landing, churn_lake, first)
    assert (done.partition, done.rows) == (DAY, 2)
    assert due(use_case, landing, churn_lake)["reference_plans"] == ["2024-05-02"]
    with pytest.raises(DataContractError, match=r"nothing landed .*'2024-05-03'"):
        ingest_reference(use_case, "plans", "2024-05-03", landing, churn_lake, first)


def test_a_reference_that_changes_has_each_key_once_a_time(
    churn: UseCase,
    churn_root: Path,
    landing: Landing,
    folder: Path,
    churn_lake: Lake,
    first: Writer,
) -> None:
    path = churn_root / "churn" / "use_case.yaml"
    text = path.read_text().replace("plan: string, price", "plan: string, since: timestamp, price")
    text = text.replace("key: [plan]", "key: [plan], as_of: since")
    path.write_text(text.replace("[plan, calls, bill]", "[plan, calls, bill, seen_at]", 1))
    use_case = load(churn_root / "churn")
    landed = folder / "plans" / "plans.csv"
    twice = "plan,since,price\na,2024-01-01T00:00:00Z,1\na,2024-02-01T00:00:00Z,2\n"
    landed.write_text(twice)
    assert ingest_reference(use_case, "plans", "all", landing, churn_lake, first).rows == 2
    landed.write_text(twice + "a,2024-02-01T00:00:00Z,3\n")
    with pytest.raises(DataContractError, match=r"the key \['plan', 'since'\] must name one row"):
        ingest_reference(use_case, "plans", "all", landing, churn_lake, first)
    landed.write_text(twice + "a,,3\n")
    with pytest.raises(DataContractError, match="key column 'since' must be there in each row"):
        ingest_reference(use_case, "plans", "all", landing, churn_lake, first)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            f"customers/{DAY}/a.csv",
            ROWS + "3,2024-05-02T00:00:00Z,basic,1,1\n",
            "rows of 2024-05-01 in .*a.csv: 'seen_at' must be from 2024-05-01T00:00Z until before "
            "2024-05-02T00:00Z, "
            "but 1 of 3 rows are outside, first data row 3 with 2024-05-02 00:00:00",
        ),
        (
            f"customers/{DAY}/a.csv",
            ROWS + "3,,basic,1,1\n",
            "1 of 3 rows are outside, .* with None",
        ),
        (
            f"departures/{DAY}/a.csv",
            OUTCOMES + "1,2024-05-01T09:00:00Z,5\n",
            "such as {'customer': 1}",
        ),
        (
            f"departures/{DAY}/a.csv",
            OUTCOMES.splitlines()[0] + "\n3,2024-05-01T09:00:00Z,\n",
            "no row has an outcome",
        ),
        (
            f"departures/{DAY}/a.csv",
            OUTCOMES + "4,2024-04-30T23:59:59Z,5\n",
            "1 of 4 rows are outside",
        ),
        (
            "plans/plans.csv",
            PLANS + "gold,3\n",
            "reference 'plans', .*plans.csv: .* such as {'plan': 'gold'}",
        ),
        ("plans/plans.csv", PLANS + '"",3\n', "key column 'plan' must be there"),
    ],
)
def test_what_breaks_the_contract_is_not_published(
    churn: UseCase,
    landing: Landing,
    folder: Path,
    churn_lake: Lake,
    first: Writer,
    path: str,
    text: str,
    message: str,
) -> None:
    (folder / path).write_text(text)
    stage, ingest = {
        "customers": ("raw", partial(ingest_rows, churn, DAY)),
        "departures": ("labels", partial(ingest_labels, churn, DAY)),
        "plans": ("reference_plans", partial(ingest_reference, churn, "plans", "all")),
    }[path.split("/")[0]]
    with pytest.raises(DataContractError, match=message):
        ingest(landing, churn_lake, first)
    assert not churn_lake.table("churn", stage).exists()


def test_clustering_has_no_labels(landing: Landing, churn_lake: Lake, first: Writer) -> None:
    regimes = load(Path(load.__code__.co_filename).parent / "weather_regimes")
    with pytest.raises(ConfigError, match="a clustering use case has no labels"):
        ingest_labels(regimes, DAY, landing, churn_lake, first)


EXPORT = """customer;seen_at;plan;calls;bill;left
1;01.05.2024 02:00;basic;3;1.010,5;Yes
2;02.05.2024 01:59;;0; ;No
3;01.05.2024 12:00;gold;1;7,25;?
"""


def test_rows_and_labels_are_read_of_one_export(
    landing: Landing, folder: Path, churn_lake: Lake, first: Writer
) -> None:
    """Nothing is prepared outside: the label stands beside the rows, and cells are German."""
    path = CONFS / "valid" / "label_in_the_rows.yaml"
    use_case = load_text(path.read_text(), "churn", path.name)
    (folder / f"customers/{DAY}/a.csv").unlink()
    export = folder / f"customers/{DAY}/export.csv.gz"
    export.write_bytes(gzip.compress(EXPORT.encode("cp1252")))

    rows = ingest_rows(use_case, DAY, landing, churn_lake, first)
    labels = ingest_labels(use_case, DAY, landing, churn_lake, first)

    assert (rows.rows, labels.rows, labels.without_outcome) == (3, 2, 1)
    assert labels.positive_share == 0.5
    raw = churn_lake.table("churn", "raw").read([DAY]).to_pylist()
    assert [row["bill"] for row in raw] == [1010.5, None, 7.25]
    assert raw[0]["seen_at"] == datetime(2024, 5, 1, 0, 0, tzinfo=UTC)
    assert "left" not in raw[0]
    made = churn_lake.table("churn", "labels").read([DAY]).to_pylist()
    assert {row["customer"]: row["label"] for row in made} == {1: 1, 2: 0}

    export.write_bytes(gzip.compress(EXPORT.replace("?", "Perhaps").encode("cp1252")))
    with pytest.raises(DataContractError, match=r"must be one of \['Yes', 'No'\], got 'Perhaps'"):
        ingest_labels(use_case, DAY, landing, churn_lake, first)
