"""What was made by another definition than today's, from the input of today.

That alone starts nothing: one edit would make a year of partitions again. It is said, with the way
to make them again.
"""

from __future__ import annotations

from include.due.mixed import MadeBefore
from include.housekeeping.survey import Survey


def find_out_of_date(survey: Survey, phase: str | None = None) -> list[MadeBefore]:
    """List the partitions that are out of date, by table and by the definition that made them.

    Parameters
    ----------
    survey : Survey
        Of the use case.
    phase : str, optional
        Only what this phase makes.
    """
    found: dict[tuple[str, int | None], list[str]] = {}
    for table in survey.tables(phase):
        for key, state in survey.states(table).items():
            if state.status == "out of date":
                found.setdefault((table, state.made_by), []).append(key)
    return [MadeBefore(table, sorted(keys), made_by) for (table, made_by), keys in found.items()]
