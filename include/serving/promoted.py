"""Which model may serve: what the promotion ledger says, unless it is older than before.

Whoever may write to MLflow can move its aliases and replace packages there. Neither changes what
serves: the ledger's newest entry must be signed, its number must not fall, and the package must be
the one whose manifest the entry names.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from include.errors import DataContractError
from include.lake.table import Lake
from include.registry.client import Registry
from include.registry.ledger import Ledger
from include.registry.manifest import MANIFEST, sha256
from include.registry.newest_promotion import TAG, noted
from include.registry.package import ServableModel

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LastSeen:
    """The newest promotion of a use case that was seen."""

    number: int
    version: str
    package_sha256: str


class PromotedModels:
    """The champions of the ledger, loaded from the registry.

    Parameters
    ----------
    registry : Registry
        Keeps the packages.
    lake : Lake
        Holds the ledger.
    verify_key : Path
        Public key of promotions.
    memory : Path
        File that remembers the newest promotion of each use case.
    """

    def __init__(self, registry: Registry, lake: Lake, verify_key: Path, memory: Path) -> None:
        self._registry = registry
        self._lake = lake
        self._verify_key = verify_key
        self._memory = memory
        self._seen = _read(memory)

    def version_of(self, name: str) -> str | None:
        """Return the version that is promoted; None before the first promotion.

        MLflow's aliases are not asked. A replica without a memory asks for the number that the
        newest promotion left there.

        Raises
        ------
        DataContractError
            The ledger's newest entry is not signed with our key, or is older than one seen before.
        ServiceUnavailable
            The lake does not answer, or MLflow where there is no memory.
        """
        promotion = Ledger(self._lake, name, self._verify_key).current()
        seen = self._seen.get(name)
        if promotion is None and seen is None:
            return None
        least = seen.number if seen else noted(self._registry, name)
        if promotion is None or promotion.number < least:
            raise self._older(name, promotion.number if promotion else 0, least)
        now = LastSeen(promotion.number, promotion.version, promotion.package_sha256)
        if now != seen:
            self._remember(name, now)
        return now.version

    def load(self, name: str, version: str) -> ServableModel:
        """Load a version that is promoted.

        Raises
        ------
        DataContractError
            The version is not the promoted one, or its package is another than was promoted.
        """
        seen = self._seen.get(name)
        if seen is None or seen.version != version:
            raise DataContractError(
                f"{name}: version {version} must be the promoted one, "
                f"{seen.version if seen else 'none'} is. Nothing was loaded; the next look loads "
                "what is promoted by then."
            )
        found = sha256(self._registry.fetch(name, version) / MANIFEST)
        if found != seen.package_sha256:
            raise DataContractError(
                f"{name}: the manifest of version {version} must have the SHA-256 "
                f"{seen.package_sha256} that was promoted, got {found}. Nothing was loaded. Find "
                "out who changed the artifact store; empty the package cache."
            )
        return self._registry.load(name, version)

    def _older(self, name: str, number: int, least: int) -> DataContractError:
        return DataContractError(
            f"{name}: the promotion ledger must not go back, got entry {number} after entry "
            f"{least}. The model that serves is kept. If the lake was restored from a backup on "
            f"purpose, remove {self._memory} and the tag {TAG} of the registered model {name}, and "
            "restart the serving application."
        )

    def _remember(self, name: str, seen: LastSeen) -> None:
        self._seen[name] = seen
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        draft = self._memory.with_suffix(".new")
        content = {known: asdict(one) for known, one in self._seen.items()}
        draft.write_text(json.dumps(content, sort_keys=True))
        draft.replace(self._memory)


def _read(path: Path) -> dict[str, LastSeen]:
    """Read what was seen; nothing if the file is damaged, which is logged."""
    try:
        return {name: LastSeen(**facts) for name, facts in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        _log.warning("%s is damaged: older promotions are not recognised", path, exc_info=True)
        return {}
