"""A use case at a glance: what serves since when, how good it is, what came last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from include.lake.table import Lake
from include.overview.partitions import PartitionOverview, partitions_of
from include.registry.ledger import Ledger, Promotion
from include.use_cases.schema import UseCase

SHOWN = 24
"""Partitions of a card: two years of months, or the last days."""


@dataclass(frozen=True)
class Card:
    """What is known of a use case.

    Attributes
    ----------
    use_case, task, description, owner : str
        From its YAML.
    metric : str
        What its models are judged by.
    champion : Promotion or None
        What serves, since when and why; None before the first promotion.
    promotions : list of Promotion
        All of them, oldest first.
    partitions : list of PartitionOverview
        The newest that landed, oldest first.
    landed_at, labels_at : str or None
        When rows and labels were last published, ISO, UTC; None before.
    """

    use_case: str
    task: str
    description: str
    owner: str
    metric: str
    champion: Promotion | None
    promotions: list[Promotion]
    partitions: list[PartitionOverview]
    landed_at: str | None
    labels_at: str | None

    @property
    def newest(self) -> PartitionOverview | None:
        """The newest partition that landed."""
        return self.partitions[-1] if self.partitions else None

    @property
    def monitored(self) -> PartitionOverview | None:
        """The newest partition with a verdict."""
        return next((one for one in reversed(self.partitions) if one.verdict), None)

    @property
    def measured(self) -> PartitionOverview | None:
        """The newest partition whose outcomes have been compared with predictions."""
        seen = reversed(self.partitions)
        return next((one for one in seen if one.performance is not None), None)

    @property
    def decided(self) -> PartitionOverview | None:
        """The newest partition on which a decision was taken."""
        return next((one for one in reversed(self.partitions) if one.decision), None)


def card_of(use_case: UseCase, lake: Lake, verify_key: Path, last: int = SHOWN) -> Card:
    """Look at a use case.

    Raises
    ------
    DataContractError
        An entry of the promotion ledger was not signed with our key.
    ServiceUnavailable
        The store does not answer.
    """
    promotions = Ledger(lake, use_case.name, verify_key).entries()
    return Card(
        use_case=use_case.name,
        task=use_case.task,
        description=use_case.description,
        owner=use_case.owner,
        metric=use_case.train.metric,
        champion=promotions[-1] if promotions else None,
        promotions=promotions,
        partitions=partitions_of(use_case, lake, last),
        landed_at=_published_at(lake, use_case, "raw"),
        labels_at=_published_at(lake, use_case, "labels"),
    )


def _published_at(lake: Lake, use_case: UseCase, stage: str) -> str | None:
    newest = lake.table(use_case.name, stage).history(limit=1)
    return newest[0]["timestamp"] if newest else None
