"""What the demo runs on: the stack of one machine, or a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from scripts.stack.stack import Login


class _Addresses(Protocol):
    @property
    def airflow_url(self) -> str:
        """Where Airflow answers."""


class Target(Protocol):
    """What `Stack` and `Cluster` have in common."""

    @property
    def settings(self) -> _Addresses:
        """Its settings."""

    def up(self) -> None:
        """Start it, unless it is up."""

    def token(self) -> str:
        """Return a bearer token for Airflow's REST API."""

    def environment(self) -> dict[str, str]:
        """Return the environment in which the library finds it."""

    def addresses(self) -> Mapping[str, str]:
        """Return where its parts answer."""

    def login(self) -> Login:
        """Return Airflow's administrator."""

    def memory_bytes(self) -> int:
        """Return the memory of all its processes."""


COMMANDS = {
    "stack": {"down": "make down", "status": "make status"},
    "cluster": {"down": "make cluster-down", "status": "make cluster-status"},
}
"""How a person stops each kind of target, and looks at it."""
