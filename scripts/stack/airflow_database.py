"""Bring Airflow's database to the installed version, and make the pools that the Dags name.

A task whose pool does not exist is never scheduled. One process does both: each import of Airflow
costs seconds.
"""

from __future__ import annotations

from plugins.phases import PHASES


def main(pool_factor: int = 1) -> None:
    """Migrate, then make or correct the pools, each with so many times the slots of its phase."""
    from airflow.models.pool import Pool
    from airflow.utils.db import upgradedb

    upgradedb()
    for name, phase in PHASES.items():
        Pool.create_or_update_pool(
            name, pool_factor * phase.slots, f"Tasks of the phase {name}", include_deferred=False
        )


if __name__ == "__main__":
    main()
