"""The sentence that says how to rebuild what is out of date."""

from __future__ import annotations

from include.due.stages import ALL, stage_of


def remedy(use_case: str, stage: str, first: str, last: str) -> str:
    """Say how partitions that are out of date are made again.

    Parameters
    ----------
    use_case, stage : str
        Name the table.
    first, last : str
        The range of partitions.
    """
    declared = stage_of(stage)
    dag_id = f"{use_case}__{declared.phase}"
    if first == ALL:
        return f"Start {dag_id} with partition={ALL} to make it again"
    if not declared.rebuilt:
        return f"Start {dag_id} with partition key {last} to do it again"
    form = f"phase={declared.phase}, first={first}, last={last}"
    return f"Start {use_case}__rebuild with {form} to make it again"
