"""What a served model came from, and whether it can be made again, on a real stack."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from include.tracking_server.users import USERS
from scripts.stack.secret_files import HOUSEKEEPING, airflow_password, mlflow_password
from scripts.stack.settings import REPO
from tests.support import daily
from tests.support.stacks import House, daily_house

pytestmark = pytest.mark.end_to_end

DAYS = daily.days("2024-01-01", 5)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Train on three days, and monitor two more."""
    with daily_house(tmp_path_factory.mktemp("daily")) as house:
        for day in DAYS[:4]:
            daily.land(house.landing, day, outcomes=day < DAYS[3])
        house.until(house.served, "a first champion serves", 300)
        house.at_rest()
        daily.land(house.landing, DAYS[4])
        house.until(lambda: house.version("monitoring", DAYS[4]), f"{DAYS[4]} is monitored")
        house.at_rest()
        yield house


def command(house: House, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what `make` runs; home and ports are those of the house."""
    env = house.stack.environment()
    del env["MLFLOW_TRACKING_URI"]  # a person has not set it: the stack is found by its home
    arguments = (sys.executable, "-m", f"scripts.{script}", *arguments)
    return subprocess.run(arguments, cwd=REPO, env=env, capture_output=True, text=True, check=False)


def test_the_champion_can_be_made_again_bit_for_bit(house):
    run = house.run("reproduce", version=house.ledger.current().version)
    assert run.tasks == {"reproduce_model": "success"}
    path = f"{run._path}/taskInstances/reproduce_model/xcomEntries/return_value"
    done = house.get(path)["value"]
    done = json.loads(done) if isinstance(done, str) else done
    assert (done["verdict"], done["rows_differing"], done["gone"]) == ("identical", 0, [])
    assert len(house.runs("train_tune")) == 1, "nothing is trained, registered or promoted"
    (entry,) = house.ledger.entries()
    assert (entry.version, entry.evaluated_version) == ("2", "1"), "what serves is a refit"

    for model in ("daily/1", "daily/2"):
        by_hand = command(house, "reproduce", "--model", model)
        assert by_hand.returncode == 0, by_hand.stderr
        assert by_hand.stdout.startswith(f"{model}: identical. All 60 holdout rows are equal")


def test_a_version_that_does_not_exist_fails_with_words(house):
    run = house.run("reproduce", version="7")
    assert run.state == "failed"
    assert run.tries("reproduce_model") == 1
    assert "'7' is not in the registry. There is: 1, 2." in run.log("reproduce_model")


def test_the_chain_runs_from_the_served_version_to_the_landed_files_and_back(house):
    done = command(house, "lineage", "--model", "daily/2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    steps = {(step["table"], step["partition"]) for step in told["sources"]}
    for stage in ("raw", "clean", "features", "labels"):
        assert {(f"daily.{stage}", day) for day in DAYS[:3]} <= steps
    assert {("daily.reference_weather", day) for day in DAYS[:3]} <= steps
    raw = [step for step in told["sources"] if step["table"] == "daily.raw"]
    assert all(step["landing"] and step["run_id"].startswith("daily__ingest") for step in raw)
    assert told["gaps"] == []
    assert [each["version"] for each in told["promotions"]] == ["2"]
    assert [step["partition"] for step in told["predictions"]] == DAYS[3:]
    assert [step["partition"] for step in told["monitoring"]] == DAYS[3:]

    text = command(house, "lineage", "--partition", f"daily/{DAYS[1]}").stdout
    for version in ("1", "2"):
        assert f"version {version} as of 2024-01-03, as training" in text


def events(house: House, task: str) -> list[dict[str, Any]]:
    lines = (house.stack.settings.home / "openlineage" / "events.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [
        each
        for each in found
        if each["job"]["name"].endswith(f".{task}") and each["eventType"] == "COMPLETE"
    ]


def names(datasets: list[dict[str, Any]]) -> set[str]:
    return {each["name"].rpartition("/lake/")[2] for each in datasets}


def test_each_task_tells_openlineage_what_it_read_and_published(house):
    feature = events(house, "build_features")
    assert {name for each in feature for name in names(each["outputs"])} == {"daily/features"}
    assert {name for each in feature for name in names(each["inputs"])} == {
        "daily/clean",
        "daily/reference_weather",
    }
    partitions = [each["outputs"][0]["facets"]["lakePartition"]["partitions"] for each in feature]
    assert sorted(key for of_one in partitions for key in of_one) == DAYS
    for task in ("finish_training", "refit_model"):
        (finished,) = events(house, task)
        assert [each["name"] for each in finished["outputs"]] == ["models/daily"]
        assert names(finished["inputs"]) == {"daily/features", "daily/labels", "daily/clean"}
    (_, *rest) = events(house, "ingest_rows")
    assert rest[-1]["inputs"][0]["name"].endswith(f"/landing/parts/{DAYS[4]}/*.csv")


def test_no_secret_stands_in_an_event(house):
    settings = house.stack.settings
    text = (settings.home / "openlineage" / "events.jsonl").read_text()
    secrets = [airflow_password(settings, HOUSEKEEPING), house.stack.login().password]
    secrets += [mlflow_password(settings, user) for user in USERS]
    assert all(len(secret) > 8 and secret not in text for secret in secrets)
