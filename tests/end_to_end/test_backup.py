"""A stack is backed up while it works, destroyed, and restored elsewhere: nothing is lost."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.errors import ConfigError
from include.settings import Settings
from scripts.backup import stack as backup
from scripts.stack.environment import base_environment
from scripts.stack.settings import REPO, StackSettings
from scripts.stack.stack import Stack
from tests.support import daily
from tests.support.stacks import House, daily_house

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

DAYS = daily.days("2024-01-01", 8)
REQUEST = {
    "dataframe_records": [
        {"at": f"{DAYS[0]}T0{hour}:00:00Z", "heat": heat, "line": "a"}
        for hour, heat in enumerate((-1.5, 0.1, 2.0))
    ]
}
CONNECTION = {"connection_id": "kept", "conn_type": "http", "password": "s3cret-of-the-page"}


def answers(house: House) -> Any:
    url = f"{house.stack.settings.serving_url}/{daily.NAME}/invocations"
    return httpx.post(url, json=REQUEST, timeout=30, trust_env=False).raise_for_status().json()


def lineage(house: House, version: str) -> Any:
    env = house.stack.environment()
    del env["MLFLOW_TRACKING_URI"]
    command = (sys.executable, "-m", "scripts.lineage", "--model", f"daily/{version}", "--json")
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def restored(tmp_path_factory) -> Iterator[tuple[House, dict[str, Any], Path]]:
    """Turn the wheel, back it up while two more days are on their way, destroy it, restore it."""
    folder = tmp_path_factory.mktemp("backup")
    with daily_house(folder) as house:
        for day in DAYS[:4]:
            daily.land(house.landing, day, outcomes=day < DAYS[3])
        house.until(house.served, "a first champion serves", 300)
        house.at_rest()
        house.api.post("/connections", json=CONNECTION).raise_for_status()
        before = {
            "champion": house.served(),
            "answers": answers(house),
            "lineage": lineage(house, house.served()),
            "promotions": house.ledger.entries(),
        }
        # Landed while the backup runs: some runs are over then, some are not, some not begun.
        landing = threading.Thread(
            target=lambda: [daily.land(house.landing, day) for day in DAYS[4:6]]
        )
        landing.start()
        house.until(lambda: house.version("raw", DAYS[4]), f"{DAYS[4]} is ingested")
        backup.save(house.stack.settings, folder / "saved", folder / "keys")
        landing.join()
        house.stack.down()
        shutil.rmtree(house.stack.settings.home)

        settings = StackSettings.on_free_ports(folder / "elsewhere" / "home")
        backup.restore(settings, folder / "saved", folder / "keys")
        stack = Stack(settings, say=print)
        try:
            stack.up()
            again = House(stack, house.use_cases)
            again.until(
                lambda: again.get("/dags", limit=100)["total_entries"] >= 12, "the Dags are parsed"
            )
            again.until(again.served, "the champion serves")
            yield again, before, folder
        finally:
            stack.down()


def test_the_same_champion_gives_the_same_answers_and_has_the_same_lineage(restored):
    house, before, _ = restored
    assert house.served() == before["champion"]
    assert answers(house) == before["answers"]
    assert house.ledger.entries() == before["promotions"]
    found, earlier = lineage(house, before["champion"]), before["lineage"]
    for each in (found, earlier):  # two days more were scored since
        each.pop("predictions"), each.pop("monitoring")
    assert found == earlier


def test_what_was_set_in_the_pages_can_be_decrypted(restored):
    house, _, _ = restored
    assert house.get("/connections/kept")["conn_type"] == "http"
    env = {
        **base_environment(house.stack.settings),
        **_airflow_environment(house.stack.settings),
    }
    script = (
        "from airflow.models import Connection; from airflow.utils.session import create_session\n"
        "with create_session() as session:\n"
        "    print(session.query(Connection).filter_by(conn_id='kept').one().password)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPO, env=env, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1:] == [CONNECTION["password"]], done.stderr[-2000:]


def _airflow_environment(settings: StackSettings) -> dict[str, str]:
    from scripts.stack.environment import airflow_environment

    return airflow_environment(settings)


def test_what_was_on_its_way_is_finished_and_what_lands_next_is_processed(restored):
    house, before, folder = restored
    saved = {path.name for path in (folder / "saved" / "landing" / "parts").iterdir()}
    daily.land(house.landing, DAYS[6])
    house.until(lambda: house.version("monitoring", DAYS[6]), f"{DAYS[6]} is monitored", 300)
    house.at_rest()
    for _ in range(4):  # each finds what the one before it has made due
        house.housekeeping()
        if all(house.version("monitoring", day) for day in (*DAYS[3:6], DAYS[6]) if day in saved):
            break
    for day in sorted({*saved, DAYS[6]}):
        stages = ["raw", "clean", "features"]
        if day != DAYS[3]:  # whose outcomes never landed
            stages.append("labels")
        for stage in stages:
            assert house.version(stage, day), f"{stage} of {day}"
        assert house.table("raw").read(partitions=[day]).num_rows == 60, day
    assert len(house.ledger.entries()) >= len(before["promotions"])


def test_a_home_in_use_is_not_restored_over(restored):
    house, _, folder = restored
    settings = house.stack.settings
    with pytest.raises(ConfigError, match=r"The stack of .* runs. Stop it with `make down`"):
        backup.restore(settings, folder / "saved", replace=str(settings.home))


def test_without_keys_the_former_promotions_stay_valid_and_new_secrets_are_made(restored):
    """Only the public key is in the backup: `make up` makes a new pair beside it."""
    from include.lake.table import Lake
    from include.registry import signing
    from include.registry.ledger import Ledger
    from scripts.stack import secret_files

    _, before, folder = restored
    settings = StackSettings.on_free_ports(folder / "without-keys")
    settings.home.mkdir()
    (settings.home / "note").write_text("mine")
    with pytest.raises(ConfigError, match=f"say so: REPLACE={settings.home}"):
        backup.restore(settings, folder / "saved")
    backup.restore(settings, folder / "saved", replace=str(settings.home))
    (aside,) = folder.glob("without-keys.before-*")
    assert (aside / "note").read_text() == "mine"
    assert not list(settings.home.glob("secrets/*"))

    library = Settings.from_env(base_environment(settings))
    signing.ensure_keys(library.signing_key, library.verify_key)
    secret_files.ensure(settings)
    signing.check_pair(library.signing_key, library.verify_key)
    ledger = Ledger(Lake(library.lake_uri), daily.NAME, library.verify_key)
    assert ledger.entries() == before["promotions"]
    loose = [p for p in settings.home.rglob("*") if stat.S_IMODE(p.stat().st_mode) & 0o077]
    assert not loose, "only the owner reads a restored home"
