"""One look at every table of a use case: the state of each partition, looked up once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from include.due.stages import STAGES, tables_of
from include.due.state import State, states
from include.due.wanted import (
    ABSENT,
    Wanted,
    wanted_clean,
    wanted_decisions,
    wanted_features,
    wanted_monitoring,
    wanted_predictions,
    wanted_votes,
)
from include.ingest_label.ingest import wanted_landed
from include.ingest_label.landing import Landing
from include.lake.table import Lake
from include.registry.ledger import Promotion
from include.use_cases.schema import UseCase


@dataclass(frozen=True)
class Survey:
    """What there is, and what should be there.

    Attributes
    ----------
    use_case : UseCase
        What is looked at.
    lake, landing : Lake, Landing
        Where.
    champion : Promotion or None
        What serves; without one nothing is to be scored.
    """

    use_case: UseCase
    lake: Lake
    landing: Landing
    champion: Promotion | None
    _found: dict[str, Mapping[str, State]] = field(default_factory=dict, compare=False)

    def tables(self, phase: str | None = None) -> list[str]:
        """Name the tables that the Dag `rebuild` can make again, in the order of the wheel.

        Parameters
        ----------
        phase : str, optional
            Only those that this phase makes.
        """
        stages = [one for one in STAGES.values() if one.rebuilt and phase in (None, one.phase)]
        return [table for stage in stages for table in self._tables_of(stage.name)]

    def _tables_of(self, stage: str) -> list[str]:
        labels = self.use_case.labels
        if stage == "labels" and (labels is None or not labels.landed):
            return []  # where rules alone give labels, they come with `votes`
        if stage == "votes" and (labels is None or labels.rules is None):
            return []
        return tables_of(stage, self.use_case.ingest.references)

    def states(self, table: str) -> Mapping[str, State]:
        """Return the state of each partition that could be made now.

        One that waits for a reference is left out: the reference's arrival starts it.
        """
        if table not in self._found:
            wanted = {
                key: sources
                for key, sources in self._wanted(table).items()
                # The monitor needs no labels: they come later.
                if table == "monitoring" or ABSENT not in sources.values()
            }
            self._found[table] = states(self.use_case.name, table, wanted, self.lake)
        return self._found[table]

    @cached_property
    def _landed(self) -> Mapping[str, Wanted]:
        return wanted_landed(self.use_case, self.landing, self.lake)

    def _wanted(self, table: str) -> Wanted:
        use_case, lake = self.use_case, self.lake
        if table in self._landed:
            return self._landed[table]
        known_up_to = self.champion.known_up_to if self.champion else None
        of_stage: dict[str, Callable[[], Wanted]] = {
            "clean": lambda: wanted_clean(use_case, lake),
            "votes": lambda: wanted_votes(use_case, lake),
            "features": lambda: wanted_features(use_case, lake),
            "predictions": lambda: wanted_predictions(use_case, lake, known_up_to),
            "monitoring": lambda: wanted_monitoring(use_case, lake),
            "decisions": lambda: wanted_decisions(use_case, lake),
        }
        return of_stage[table]()
