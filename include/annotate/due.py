"""When the next round of a partition begins by itself."""

from __future__ import annotations

from include.labelling.rounds import ROUND, RUN, read_rounds
from include.lake.table import Lake
from include.use_cases.schema import UseCase


def why_not_now(
    use_case: UseCase, partition: str, champion: str | None, lake: Lake, run_id: str
) -> str:
    """Say why no further round is due; empty where one is due.

    The first round is always due. A later one is due while there is no champion, because labels are
    still missing for one, and once for each champion: labels of the rows that it is unsure of help
    most. `choose_round` checks whether the last round is closed, and whether rounds are left.

    Parameters
    ----------
    use_case, partition : UseCase and str
        Whose rows.
    champion : str or None
        Version of the model that serves.
    lake : Lake
        Holds the rounds.
    run_id : str
        Of the run that asks. A retry of the run that has chosen a round may go on with it.
    """
    rounds = read_rounds(use_case, partition, lake).to_pylist()
    if champion is None or not rounds or any(row[RUN] == run_id for row in rounds):
        return ""
    last = max(row[ROUND] for row in rounds)
    if champion not in {row["_model"] for row in rounds if row[ROUND] == last}:
        return ""
    return (
        f"Champion {champion} has chosen round {last} of {partition}; the next round comes with "
        "the next champion, or when you start the Dag yourself."
    )
