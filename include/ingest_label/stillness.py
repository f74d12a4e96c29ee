"""When a partition's files have stopped changing: the rule of the watch and of the run."""

from __future__ import annotations

from collections.abc import Mapping

# A program that copies a file writes it in pieces; between two of them a busy disk or a network
# takes some tenths of a second, seldom more than one. Each second here is a second that every
# landed file waits.
STILL_S = 1.0


class Stillness:
    """Tells which partitions have changed and then held still, each for itself.

    Parameters
    ----------
    still_s : float
        Seconds for which a partition must have held still, over two looks at least.
    """

    def __init__(self, still_s: float = STILL_S) -> None:
        self._still_s = still_s
        self._reported: dict[str, int] = {}
        self._since: dict[str, tuple[int, float]] = {}

    def settled(self, seen: Mapping[str, int], at_s: float) -> list[str]:
        """Take one look, and name what is to be reported now: once for each change.

        What has gone is not reported, since there is nothing to ingest. When it comes back as it
        was, that is not a change.

        Parameters
        ----------
        seen : mapping of str to int
            Fingerprint of each partition that has landed.
        at_s : float
            When it was seen, on a clock that never goes back.
        """
        before, self._since = self._since, {}
        changed = []
        for name, fingerprint in seen.items():
            if self._reported.get(name) == fingerprint:
                continue
            held, since_s = before.get(name, (None, at_s))
            if held != fingerprint:  # this is the first look at it
                self._since[name] = (fingerprint, at_s)
            elif at_s - since_s < self._still_s:
                self._since[name] = (fingerprint, since_s)
            else:
                self._reported[name] = fingerprint
                changed.append(name)
        return sorted(changed)

    def interrupted(self) -> None:
        """Forget what was about to settle: while nobody looked it may have changed."""
        self._since = {}
