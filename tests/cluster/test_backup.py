"""A cluster is backed up while it works, and restored into one with other passwords and ports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.errors import ConfigError
from scripts import rotate
from scripts.backup import cluster as backup
from scripts.cluster import env_file
from scripts.cluster.cluster import Cluster
from scripts.cluster.settings import ClusterSettings
from tests.support import daily
from tests.support.clusters import PATIENCE_S, ClusterHouse, daily_cluster, folder_for_all_users

pytestmark = pytest.mark.cluster

DAYS = daily.days("2024-01-01", 6)
REQUEST = {"dataframe_records": [{"at": f"{DAYS[0]}T01:00:00Z", "heat": 0.5, "line": "a"}]}
KEPT = ("FLYWHEEL_FERNET_KEY", "FLYWHEEL_SIGNING_KEY_BASE64", "FLYWHEEL_VERIFY_KEY_BASE64")
"""What a backup rests on; every password is another one in the new cluster."""


def answers(house: ClusterHouse) -> Any:
    url = f"{house.stack.settings.serving_url}/{daily.NAME}/invocations"
    return httpx.post(url, json=REQUEST, timeout=60, trust_env=False).raise_for_status().json()


@pytest.fixture(scope="module")
def restored() -> Iterator[tuple[ClusterHouse, dict[str, Any], Path]]:
    with folder_for_all_users() as folder:
        with daily_cluster(folder) as house:
            for day in DAYS[:4]:
                house.land(day, outcomes=day < DAYS[3])
            house.until(house.served, "a first champion serves", PATIENCE_S)
            house.at_rest(within_s=PATIENCE_S)
            before = {
                "champion": house.served(),
                "answers": answers(house),
                "promotions": house.ledger.entries(),
            }
            house.land(DAYS[4])
            house.until(lambda: house.version("raw", DAYS[4]), "it is ingested", PATIENCE_S)
            backup.save(house.stack.settings, folder / "saved")
            made = backup.manifest.read(folder / "saved", "cluster")
            with pytest.raises(ConfigError, match="must be empty, and is not"):
                backup.fill(house.stack.settings, folder / "saved", made)
        known = env_file.read(folder / "cluster.env")
        file = folder / "new.env"
        env_file.ensure(
            file,
            {
                **ClusterSettings.free_ports(),
                **{name: known[name] for name in KEPT},
                "FLYWHEEL_CLUSTER_HOME": str(folder / "new-home"),
                "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
                "FLYWHEEL_HOUSEKEEPING_CRON": "0 0 1 1 *",
            },
        )
        # The new cluster signs with a new key, and believes the former one.
        rotate.cluster_signing_key(file)
        cluster = Cluster(file)
        try:
            backup.restore(cluster, folder / "saved")
            again = ClusterHouse(cluster, folder / "use_cases")
            again.until(again.served, "the champion serves", PATIENCE_S)
            yield again, before, folder
        finally:
            cluster.down()


def test_the_same_champion_answers_the_same_under_new_passwords(restored):
    house, before, _ = restored
    assert house.served() == before["champion"]
    assert answers(house) == before["answers"]
    assert house.ledger.entries() == before["promotions"]


def test_the_wheel_goes_on_from_where_it_was(restored):
    house, _, _ = restored
    house.at_rest(within_s=PATIENCE_S)
    house.land(DAYS[5])
    house.until(lambda: house.version("monitoring", DAYS[5]), "it is monitored", PATIENCE_S)
    for _ in range(4):
        house.housekeeping()
        if house.version("monitoring", DAYS[4]):
            break
    assert house.version("monitoring", DAYS[4]), "what was on its way"
    for day in DAYS:
        assert house.table("raw").read(partitions=[day]).num_rows == 60, day


def test_a_cluster_with_another_key_refuses_the_backup(restored, tmp_path):
    _, _, folder = restored
    env_file.ensure(tmp_path / "cluster.env", {**ClusterSettings.free_ports()})
    with pytest.raises(ConfigError, match="which FLYWHEEL_VERIFY_KEY_BASE64 does not hold"):
        backup.restore(Cluster(tmp_path / "cluster.env"), folder / "saved")
