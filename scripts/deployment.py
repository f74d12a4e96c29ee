"""The deployment that a script looks at: this machine's stack, or what the environment names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from include.errors import ConfigError
from include.lake.table import Lake
from include.registry.client import Registry
from include.registry.ledger import Ledger
from include.settings import Settings
from include.tracking_server.users import SERVING
from scripts.stack.settings import StackSettings
from scripts.stack.stack import Stack


@dataclass(frozen=True)
class Deployment:
    """Lake, registry and ledger of one deployment."""

    settings: Settings

    @classmethod
    def of_environment(cls, user: str = SERVING) -> Deployment:
        """Find it: where `MLFLOW_TRACKING_URI` is set, what the environment names.

        Parameters
        ----------
        user : str
            Who logs in at this machine's MLflow; by default the user that may only read.
        """
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            os.environ.update(Stack(StackSettings.from_env(), say=print).environment(user))
        # A server that is down is told at once, not after the minutes of MLflow's own retries.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        return cls(Settings.from_env())

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.settings.lake_uri, self.settings.storage_options())

    @cached_property
    def registry(self) -> Registry:
        """The registry, for reading."""
        return Registry(
            self.settings.tracking_uri,
            verify_key=self.settings.verify_key,
            cache=self.settings.home / "models",
        )

    def ledger(self, use_case: str) -> Ledger:
        """Give the promotion ledger of a use case."""
        return Ledger(self.lake, use_case, self.settings.verify_key)


def named(text: str, option: str, example: str) -> tuple[str, str]:
    """Split `<use case>/<what>`.

    Raises
    ------
    ConfigError
        It is not of this form.
    """
    use_case, slash, what = text.partition("/")
    if not (use_case and slash and what and "/" not in what):
        raise ConfigError(
            f"{option}: must be <use case>/<which one>, such as {example}, got {text!r}. "
            f"Start it again with {option}={example}."
        )
    return use_case, what
