"""The synthetic use case in a real lake with a real registry: what monitoring starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.due.definitions import DEFINITION, definition_of
from include.feature.build import build_partition
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake, Published, Writer
from include.registry.client import Registry
from include.registry.ledger import Ledger
from include.use_cases.schema import UseCase
from tests.support.packages import make_package, tiny_rows, tiny_use_case
from tests.support.registries import local_registry


@dataclass
class World:
    """A lake, a registry, and shorthands to let months happen."""

    where: Path
    use_case: UseCase
    lake: Lake
    registry: Registry
    tokens: count[int] = field(default_factory=lambda: count(1))

    @property
    def ledger(self) -> Ledger:
        """The promotion ledger, in the lake."""
        return Ledger(self.lake, self.use_case.name, self.registry.verify_key)

    @property
    def champion(self) -> str:
        """The version that serves."""
        current = self.ledger.current()
        assert current is not None, "crown() a champion first"
        return current.version

    def writer(self, run_id: str = "run") -> Writer:
        """Return a writer that has overtaken all earlier ones."""
        return Writer(run_id=run_id, attempt=1, token=next(self.tokens), code_version="test")

    def publish(self, stage: str, partition: str, frame: pd.DataFrame, columns: Any) -> Published:
        """Publish a frame, as made by the definition of today."""
        data: pa.Table = to_arrow(frame[list(columns)], arrow_schema(columns))
        table = self.lake.table(self.use_case.name, stage)
        return table.publish(
            data,
            partition=partition,
            schema=data.schema,
            writer=self.writer(),
            consumed={DEFINITION: definition_of(self.use_case, stage)},
            migrations=self.use_case.migrations,
        )

    def land(self, month: str, frame: pd.DataFrame | None = None, **made: Any) -> pd.DataFrame:
        """Publish a month's clean rows and its features, and return the rows.

        They are made by `tiny_rows`, which takes the other arguments, or given. Features are built
        as the phase does: with the definition of the working tree.
        """
        landed = tiny_rows(month=month, **made) if frame is None else frame
        columns = dict(self.use_case.ingest.columns)
        self.publish("clean", month, landed, columns)
        build_partition(self.use_case, month, self.lake, self.writer())
        return landed

    def land_outcomes(self, month: str, rows: pd.DataFrame, shuffled: bool = False) -> None:
        """Publish a month's labels; shuffled ones have nothing to do with the features any more."""
        kind = "int64" if self.use_case.task == "classification" else "float64"
        outcome = rows["outcome"].to_numpy()
        if shuffled:
            outcome = np.random.default_rng(0).permutation(outcome)
        frame = pd.DataFrame({"id": rows["id"], "label": outcome.astype(kind)})
        self.publish("labels", month, frame, {"id": "int64", "label": kind})

    def crown(self, as_of: str = "2024-02", holdout: str = "2024-01", **package: Any) -> str:
        """Train, register and promote a champion; return its version.

        `package` is for `make_package`, such as the model's own `python`.
        """
        name = self.use_case.name
        run_id = self.registry.run(name, f"train {as_of}", f"train {as_of}", {})
        folder = self.where / f"model-{as_of}"
        (folder / "keys").parent.mkdir(parents=True)
        (folder / "keys").symlink_to(self.where / "registry" / "keys")
        trained = {"partitions": sorted({"2024-01", holdout}), **package}
        made = make_package(folder, use_case=self.use_case, run_id=run_id, **trained)
        tags = {"as_of": as_of, "holdout_partition": holdout, "known_up_to": holdout}
        version = self.registry.register(name, run_id, made.folder, tags)
        serves = self.ledger.current()
        promotion = self.ledger.promote(
            version=version,
            instead_of=serves.version if serves else None,
            facts=self.registry.details(name, version)["tags"],
            who="tests",
            why="crowned",
            evidence={},
            run_id=run_id,
            signing_key=self.registry.signing_key,
        )
        self.registry.follow(name, promotion)
        return version


def make_world(where: Path, task: str = "classification", **changes: Any) -> World:
    """Return an empty world; takes about 0.1 s. `changes` replace sections of the use case."""
    return World(
        where,
        tiny_use_case(task, **changes),
        Lake(str(where / "lake")),
        local_registry(where / "registry"),
    )
