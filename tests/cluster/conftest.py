"""One cluster for all tests of a session: its start takes minutes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.cluster.settings import ClusterSettings
from tests.support import daily
from tests.support.clusters import PATIENCE_S, ClusterHouse, daily_cluster, folder_for_all_users
from tests.support.s3_faults import S3Faults, s3_faults

FIRST = daily.days("2024-01-01", 4)
SMALL_DISK = "worker-2"
"""The worker whose home is a disk of its own, where the tests' user may mount one."""
SMALL_DISK_MIB = 256


@dataclass(frozen=True)
class Running:
    """The cluster, the proxy before its S3 server, and the home that is a small disk."""

    house: ClusterHouse
    store: S3Faults
    small_disk: Path | None


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """Run the cluster with the use case `daily`."""
    ports = ClusterSettings.free_ports()
    (proxy_port,) = {ClusterSettings.free_ports()["FLYWHEEL_S3_PORT"]} - set(ports.values())
    with ExitStack() as stack:
        folder = stack.enter_context(folder_for_all_users())
        home = folder / "home" / "wheel" / "homes" / SMALL_DISK
        disk = home if mounted(home, stack) else None
        store_port = int(ports["FLYWHEEL_S3_PORT"])
        store = stack.enter_context(s3_faults(int(proxy_port), store_port))
        house = stack.enter_context(daily_cluster(folder, **ports, AWS_ENDPOINT_URL=store.url))
        house.look_by(f"http://127.0.0.1:{store_port}")
        yield Running(house, store, disk)


def mounted(home: Path, stack: ExitStack) -> bool:
    """Mount a small disk; False where this user may not."""
    if os.geteuid() != 0:
        return False
    home.mkdir(parents=True)
    for folder in (home, *home.parents[:4]):
        folder.chmod(0o711)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MIB}m,mode=700", "tmpfs", str(home)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return False
    stack.callback(subprocess.run, ["umount", "--lazy", str(home)], check=True)
    return True


@pytest.fixture(scope="session")
def champion(running) -> str:
    """Land the first days and return the version of the champion that they gave."""
    house = running.house
    if not house.served():
        for day in FIRST:
            house.land(day, outcomes=day < FIRST[-1])
        house.until(house.served, "a first champion serves", PATIENCE_S)
        house.at_rest(within_s=PATIENCE_S)
    return str(house.served())
