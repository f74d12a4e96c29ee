"""Promote or reject a model version, as the verdict says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.errors import ConfigError
from include.registry.client import Registry
from include.registry.ledger import REFIT_OF, Ledger
from include.registry.manifest import MANIFEST, sha256
from include.registry.newest_promotion import note
from include.use_cases.schema import UseCase


def promote(
    use_case: UseCase,
    version: str,
    verdict: Mapping[str, Any],
    registry: Registry,
    ledger: Ledger,
    *,
    who: str,
    run_id: str,
) -> str:
    """Make the version champion in the ledger, then let the registry's aliases follow.

    Idempotent: a run that died between the two finds its entry again.

    Parameters
    ----------
    use_case : UseCase
        Whose model.
    version : str
        What is to serve: the challenger, or its refit.
    verdict : mapping
        `Verdict` as a dict, as it travels between tasks.
    registry, ledger : Registry, Ledger
        Where it is written.
    who, run_id : str
        Who decides, in which run.

    Returns
    -------
    str
        The champion.

    Raises
    ------
    DataContractError
        Another champion serves than the verdict compared with.
    """
    if not verdict["promote"]:
        raise ConfigError(
            f"{use_case.name}: the verdict on version {version} is not to promote it. Start "
            f"{use_case.name}__deploy with this version and a reason to promote it anyway."
        )
    evidence = {name: value for name, value in verdict.items() if name != "reasons"}
    promotion = ledger.promote(
        version=version,
        instead_of=verdict["champion_version"],
        facts=_signed_facts(use_case, version, registry),
        who=who,
        why="; ".join(verdict["reasons"])[:2000],
        evidence=evidence,
        run_id=run_id,
        signing_key=registry.signing_key,
    )
    note(registry, use_case.name, promotion.number)
    registry.follow(use_case.name, promotion)
    return promotion.version


def _signed_facts(use_case: UseCase, version: str, registry: Registry) -> dict[str, str]:
    """Read what the entry says of the version from its package, which is signed.

    Tags say the same, but whoever may write into MLflow may set them, and the ledger's signature
    would vouch for that: what the model knows decides what it may score and be monitored on.
    """
    facts = registry.load(use_case.name, version).facts
    refit = {REFIT_OF: facts["evaluated_version"]} if "evaluated_version" in facts else {}
    return {
        "as_of": facts["as_of"],
        "known_up_to": facts["partitions"][-1],
        "package_sha256": package_sha256(use_case, version, registry),
        **refit,
    }


def package_sha256(use_case: UseCase, version: str, registry: Registry) -> str:
    """Return the digest of a version's package, which was verified."""
    return sha256(registry.fetch(use_case.name, version) / MANIFEST)


def reject(
    use_case: UseCase,
    version: str,
    verdict: Mapping[str, Any],
    registry: Registry,
    ledger: Ledger,
) -> str | None:
    """Write the reasons to the version; the champion stays, also when it is this one or its refit.

    Where it is, its promotion may have died before the registry knew of it: aliases and tags are
    put right, or the version would count as not judged.

    Returns
    -------
    str or None
        The champion.
    """
    current = ledger.current()
    if current is not None and version in (current.version, current.evaluated_version):
        registry.follow(use_case.name, current)
    else:
        registry.reject(use_case.name, version, verdict["reasons"])
    return current.version if current else None
