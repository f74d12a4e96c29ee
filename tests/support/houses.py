"""Everything a training needs around it, for the synthetic use case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from include.lake.table import Lake
from include.registry.client import Registry
from include.registry.ledger import Ledger
from include.use_cases.schema import UseCase
from tests.support.lakes import tiny_lake
from tests.support.packages import tiny_use_case
from tests.support.registries import local_registry


@dataclass
class House:
    """What a training needs around it."""

    use_case: UseCase
    lake: Lake
    registry: Registry
    work: Path

    @property
    def ledger(self) -> Ledger:
        """The promotion ledger, in the lake."""
        return Ledger(self.lake, self.use_case.name, self.registry.verify_key)


def make_house(
    where: Path,
    task: str = "classification",
    use_case: UseCase | None = None,
    lake: Lake | None = None,
) -> House:
    """Return a use case with a lake of two months, or this one, and an empty registry."""
    use_case = use_case or tiny_use_case(task)
    return House(
        use_case=use_case,
        lake=lake or tiny_lake(where, use_case),
        registry=local_registry(where / "registry"),
        work=where / "work",
    )
