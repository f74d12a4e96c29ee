"""`python -m scripts.cluster.manager services|wheel FILE`: keeps a group of a cluster's parts."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.cluster import env_file, parts, services
from scripts.cluster.settings import ClusterSettings
from scripts.stack import manager

SERVICES, WHEEL = "services", "wheel"


def places(settings: ClusterSettings) -> tuple[services.ServicesPlace, parts.WheelPlace]:
    """Return the folders of the two groups."""
    home = settings.cluster_home
    return services.ServicesPlace(home / SERVICES), parts.WheelPlace(home / WHEEL)


def main(group: str, file: str) -> None:
    """Run one group until SIGTERM."""
    settings = env_file.load(Path(file))
    of_services, of_wheel = places(settings)
    if group == SERVICES:
        manager.run(of_services, services.parts(settings, of_services))
    else:
        manager.run(of_wheel, parts.parts(settings, of_wheel))


if __name__ == "__main__":
    main(*sys.argv[1:])
