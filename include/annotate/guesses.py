"""What the champion says of the rows of a partition, before people are asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from include.errors import DataContractError
from include.labelling.asking import item_id
from include.labelling.policies import Floats
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake
from include.model_features import features_for
from include.modelling.scoring import check_classes, score_rows, scores_in
from include.registry.client import Registry
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Guesses:
    """Probabilities of classes, by one model.

    Attributes
    ----------
    model : str
        Its version.
    items : mapping of str to int
        The row of `probabilities` of each item.
    probabilities : ndarray of shape (rows, classes)
        In the order of the classes' numbers.
    """

    model: str
    items: Mapping[str, int]
    probabilities: Floats

    def of(self, items: list[str]) -> Floats:
        """Give the probabilities of items, NaN where the model says nothing."""
        found = np.full((len(items), self.probabilities.shape[1]), np.nan)
        known = [(place, self.items[one]) for place, one in enumerate(items) if one in self.items]
        if known:
            here, there = (list(each) for each in zip(*known, strict=True))
            found[here] = self.probabilities[there]
        return found


def guesses_of(
    use_case: UseCase, partition: str, champion: str | None, lake: Lake, registry: Registry
) -> Guesses | None:
    """Score the rows of a partition by the champion; None where it cannot.

    If the champion does not know today's classes, or its features cannot be built, rows are chosen
    at random instead, and the log says why.

    Raises
    ------
    ServiceUnavailable
        The registry or the lake does not answer.
    """
    if champion is None:
        return None
    try:
        model = registry.load(use_case.name, champion)
        check_classes(use_case, model.use_case)
        features = features_for(model, partition, lake, named_by=use_case)
        own = score_rows(model.estimator, features.frame, model.use_case)
        scores = scores_in(use_case, own, model.use_case)
    except DataContractError as error:
        log.warning("%s: the champion cannot score %s: %s", use_case.name, partition, error)
        return None
    key = {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
    named: pa.Table = to_arrow(features.frame[list(key)], arrow_schema(key))
    items = {item_id(row): place for place, row in enumerate(named.to_pylist())}
    probabilities = scores if scores.ndim == 2 else np.column_stack([1 - scores, scores])
    return Guesses(champion, items, probabilities)
