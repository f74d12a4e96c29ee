"""How often one holdout has been asked, and what chance of error each answer may have.

If five challengers that are no better are judged on one holdout at 5 % each, chance promotes one of
them in nearly one of four cases. So the first judgement spends four fifths of the chance of error,
the second four fifths of the rest, and so on: together they never spend more than
`1 - deploy.confidence` (alpha spending: Lan and DeMets, Biometrika 70, 1983, 659-663; the shares
are our choice: most holdouts are asked once).
"""

from __future__ import annotations

from include.registry.client import Registry

_FIRST_SHARE = 0.8


def alpha_of(confidence: float, look: int) -> float:
    """Return the chance of error that the `look`-th judgement on a holdout may have.

    Examples
    --------
    >>> [round(alpha_of(0.95, look), 4) for look in (1, 2, 3)]
    [0.04, 0.008, 0.0016]
    """
    return (1 - confidence) * _FIRST_SHARE * (1 - _FIRST_SHARE) ** (look - 1)


def look_of(use_case_name: str, version: str, holdout_from: str, registry: Registry) -> int:
    """Count how many versions were judged on this one's holdout, this one included.

    Judging a version again is the same look, as long as no other was judged between. Which holdout
    it is, the caller knows from the signed package; of the others MLflow's tags are believed.
    """
    found = registry.client.search_model_versions(f"name = '{use_case_name}'")
    return 1 + sum(
        _holdout(each.tags) == holdout_from
        for each in found
        if str(each.version) != version and "verdict" in each.tags and "refit_of" not in each.tags
    )


def _holdout(tags: dict[str, str]) -> str | None:
    """Return where a version's holdout begins; one of before holds out one partition."""
    return tags.get("holdout_from", tags.get("holdout_partition"))
