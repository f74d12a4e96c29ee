"""Asset expressions of schedules, as plain JSON."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, AssetAlias


def expression_of(asset: Any) -> Any:
    """Give a condition of assets as JSON: a name, or {"any": [...]}, or {"all": [...]}."""
    if isinstance(asset, Asset | AssetAlias):
        return asset.name if isinstance(asset, Asset) else {"alias": asset.name}
    kind = {"AssetAny": "any", "AssetAll": "all"}[type(asset).__name__]
    return {kind: [expression_of(part) for part in asset.objects]}


def assets_in(expression: Any) -> set[str]:
    """Names of the assets in what `expression_of` gives."""
    if isinstance(expression, str):
        return {expression}
    parts = [part for parts in (expression or {}).values() for part in parts]
    return {name for part in parts for name in assets_in(part)}


def is_started_by(expression: Any, asset: str) -> bool:
    """Whether an event of this asset alone starts a run."""
    if isinstance(expression, str):
        return expression == asset
    ((kind, parts),) = expression.items()
    return {"any": any, "all": all}[kind](is_started_by(part, asset) for part in parts)


def condition_of(dag: Any) -> Any:
    """Asset expression of a Dag's schedule; None where it is scheduled by no asset."""
    condition = getattr(dag.timetable, "asset_condition", None)
    return None if condition is None else expression_of(condition)
