"""Where Label Studio keeps its state: a folder of the stack's home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.stack.settings import HOST, Place, StackSettings


@dataclass(frozen=True)
class LabellingPlace(Place):
    """The folders and the port of Label Studio.

    Parameters
    ----------
    home
        Its folder.
    port
        On loopback.
    """

    home: Path
    port: int

    @classmethod
    def of(cls, settings: StackSettings) -> LabellingPlace:
        """Return the place that belongs to a stack."""
        return cls(settings.home / "labelling", settings.labelling_port)

    @property
    def url(self) -> str:
        """Address of its pages and of its REST API."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> Path:
        """Its Python environment, which can be made again at any time."""
        return self.home / "environment"

    @property
    def data(self) -> Path:
        """Its database (SQLite), and the pictures that were sent to it."""
        return self.home / "data"
