"""What a decision depends on, and the decision itself.

All times are the dates of partitions, never the clock of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Champion:
    """The model that serves.

    Attributes
    ----------
    version : str
        Its model version.
    as_of : str
        The last partition that its training was allowed to use. With labels that come late, the
        newest one it could use is older.
    known_up_to : str
        The newest partition of its training. A model that was refitted after the verdict has
        learned it; one that was not was judged on it. Either way the model was chosen with these
        rows, so only later ones are new to it.
    """

    version: str
    as_of: str
    known_up_to: str


@dataclass(frozen=True)
class Window:
    """What the monitor said of one scored partition; None where it could not say.

    `model_version` is the model that scored it; None means the champion.
    """

    partition: str
    drift: bool | None
    decay: bool | None
    model_version: str | None = None


@dataclass(frozen=True)
class Request:
    """A training that was asked for earlier."""

    as_of: str
    newest_labelled: str
    training_set: str


@dataclass(frozen=True)
class Facts:
    """All that a decision may depend on.

    Parameters
    ----------
    as_of : str
        The partition up to which a training would learn.
    labelled : sequence of str
        Partitions that can be learned from, oldest first.
    training_set : str
        Fingerprint of `labelled` with the version of each partition.
    champion : Champion or None
        None before the first promotion.
    windows : sequence of Window
        Monitored partitions that are new to the champion, oldest first, whichever model scored
        them.
    requests : sequence of Request
        Trainings asked for so far, oldest first, without those that failed.
    pending : sequence of str
        Before the first training: partitions up to `as_of` that have landed and have no features
        yet, and phases that still run.
    refused : str or None
        Why a training as of `as_of` was refused, if nothing has changed since.
    incomplete : sequence of str
        Partitions up to `as_of` whose labels are not complete, and why.
    rows : int
        Labelled rows that a training would use now, at most `train.max_rows`.
    new_rows : int
        Those of them that are new to the champion.
    new_labels : int or None
        Rows that a training would use, and that had no label when the champion was trained; None
        where that is not known.
    corrected_rows : int or None
        Rows known to the champion whose label is another one now; None where that is not known.
    """

    as_of: str
    labelled: Sequence[str]
    training_set: str
    champion: Champion | None = None
    windows: Sequence[Window] = ()
    requests: Sequence[Request] = ()
    pending: Sequence[str] = ()
    refused: str | None = None
    incomplete: Sequence[str] = ()
    rows: int = 0
    new_rows: int = 0
    new_labels: int | None = None
    corrected_rows: int | None = None

    @property
    def newest(self) -> str:
        """The newest partition that can be learned from; '' without one."""
        return self.labelled[-1] if self.labelled else ""


@dataclass(frozen=True)
class Decision:
    """Whether to ask for a training, why, and the numbers behind it.

    `seen` is the version of the monitor's report that it was decided from, None without one.
    """

    ask: bool
    as_of: str
    reasons: list[str]
    signals: dict[str, Any] = field(default_factory=dict)
    champion_version: str | None = None
    seen: int | None = field(default=None, compare=False)


def rows_to_learn(
    labelled: Sequence[str], counts: Mapping[str, int], max_rows: int, known_up_to: str
) -> tuple[int, int, list[str]]:
    """Count the rows that a training would use now: the newest, at most `max_rows`.

    Parameters
    ----------
    labelled : sequence of str
        Partitions that can be learned from, oldest first.
    counts : mapping of str to int
        Labelled rows of each.
    max_rows : int
        ``train.max_rows``.
    known_up_to : str
        The newest partition that the champion knows.

    Returns
    -------
    rows : int
        All of them.
    new_rows : int
        Those of partitions newer than `known_up_to`.
    used : list of str
        The partitions that they are of, oldest first.

    Examples
    --------
    >>> rows_to_learn(["01", "02", "03"], {"01": 50, "02": 40, "03": 30}, 60, "02")
    (60, 30, ['02', '03'])
    """
    rows = new_rows = 0
    used: list[str] = []
    for key in reversed(labelled):
        if rows == max_rows:
            break
        taken = min(counts.get(key, 0), max_rows - rows)
        rows, new_rows = rows + taken, new_rows + (taken if key > known_up_to else 0)
        used.insert(0, key)
    return rows, new_rows, used
