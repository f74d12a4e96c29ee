"""Do what the verdict says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.registry.client import CHAMPION, Registry
from include.use_cases.schema import UseCase


def apply(
    use_case: UseCase, version: str, verdict: Mapping[str, Any], registry: Registry
) -> str | None:
    """Promote the version or reject it, and tag it with the reasons.

    Idempotent; a version that is champion already stays it.

    Parameters
    ----------
    use_case : UseCase
        Whose model.
    version : str
        The challenger.
    verdict : mapping
        `Verdict` as a dict, as it travels between tasks.
    registry : Registry
        Holds the aliases.

    Returns
    -------
    str or None
        The version that is champion now.
    """
    champion = registry.version_of(use_case.name, CHAMPION)
    if verdict["promote"]:
        registry.promote(use_case.name, version, verdict["reasons"])
        return version
    if champion != version:
        registry.reject(use_case.name, version, verdict["reasons"])
    return champion
