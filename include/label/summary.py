"""What each labelling function does: where it votes, and how it gets on with the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.label.functions import Voted
from include.labelling.label_model import ABSTAIN, Shares


@dataclass(frozen=True)
class FunctionSummary:
    """One labelling function on the rows of a partition; shares are of all rows.

    Attributes
    ----------
    name : str
        The function's.
    coverage : float
        Share of rows that it votes on.
    overlap : float
        Share of rows that it and another function vote on.
    conflict : float
        Share of rows that it votes on otherwise than another function.
    accuracy : float or None
        How likely its votes are right, as the label model sees it; None where it never votes.
    raised : int
        Rows in which it raised, or returned what is no class.
    first_error : str
        What it did in the first of these.
    """

    name: str
    coverage: float
    overlap: float
    conflict: float
    accuracy: float | None
    raised: int
    first_error: str

    @property
    def told(self) -> str:
        """Where it votes, and whether it raised, in a few words."""
        raised = f" and raised in {self.raised} rows ({self.first_error})" if self.raised else ""
        return f"{self.name} votes on {self.coverage:.0%}{raised}"


def summaries(voted: Voted, posterior: Shares) -> list[FunctionSummary]:
    """Summarise each function, in the order of the YAML.

    Coverage, overlap and conflict are as in Ratner et al. (2017), "Snorkel: rapid training data
    creation with weak supervision".
    """
    votes = voted.votes
    said = votes != ABSTAIN
    several = said.sum(axis=1) > 1
    lowest = np.where(said, votes, np.iinfo(np.int64).max).min(axis=1)
    differ = several & (votes.max(axis=1) != lowest)
    found = []
    for number, name in enumerate(voted.names):
        mine = said[:, number]
        # Where two others differ, one of them differs from this one too.
        right = posterior[np.flatnonzero(mine), votes[mine, number]]
        found.append(
            FunctionSummary(
                name,
                float(mine.mean()),
                float((mine & several).mean()),
                float((mine & differ).mean()),
                float(right.mean()) if mine.any() else None,
                voted.raised.get(name, 0),
                voted.first_error.get(name, ""),
            )
        )
    return found
