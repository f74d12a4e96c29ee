"""What was made by another definition than today's, from the input of today.

Being out of date starts nothing: one edit would rebuild a year of partitions. It is reported, with
the way to rebuild them.
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
