"""Which partitions are to be scored."""

from __future__ import annotations

from include.lake.table import Lake, unprocessed
from include.registry.client import CHAMPION, Registry
from include.use_cases.schema import UseCase


def unscored(use_case: UseCase, lake: Lake, registry: Registry) -> list[str]:
    """Return the feature partitions without predictions that the champion does not know, sorted.

    Partitions up to the champion's holdout were there when it was made: predictions for them would
    be recollection, and their performance flattery. Without a champion it is all of them, so that
    the monitor gets to look, and the first training is asked for.

    Parameters
    ----------
    use_case : UseCase
        Whose partitions.
    lake, registry : Lake, Registry
        Where features and predictions are, and the champion is.
    """
    tables = [lake.table(use_case.name, stage) for stage in ("features", "predictions")]
    found = unprocessed(*tables)
    champion = registry.version_of(use_case.name, CHAMPION)
    if champion is None:
        return found
    known_up_to = registry.details(use_case.name, champion)["tags"]["holdout_partition"]
    return [partition for partition in found if partition > known_up_to]
