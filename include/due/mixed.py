"""Whether the partitions of one training were all made by the definitions of today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from include.due.definitions import DEFINITION, definition_of
from include.due.recorded import changes_since
from include.due.remedy import remedy
from include.due.stages import ALL, REFERENCE, tables_of, upstream
from include.errors import DataContractError, bounded
from include.lake.records import digest_63
from include.lake.table import Lake
from include.use_cases.schema import UseCase

_SHOWN = 6
_TAG_LENGTH = 4000  # MLflow takes 5000 characters


@dataclass(frozen=True)
class MadeBefore:
    """Partitions of one table that one definition other than today's has made.

    Attributes
    ----------
    stage : str
        The table.
    keys : list of str
        Its partitions, sorted.
    made_by : int or None
        Digest of that definition; None where none was noted with the result.
    """

    stage: str
    keys: list[str]
    made_by: int | None

    def told(self, use_case: UseCase, lake: Lake) -> str:
        """Say which partitions, what has changed since, and how to make them again."""
        since = changes_since(use_case, self.stage, self.made_by, lake)
        again = remedy(use_case.name, _made_by(use_case, self.stage), self.keys[0], self.keys[-1])
        return f"{self.stage} of {listed(self.keys)} ({since}). {again}"


def _made_by(use_case: UseCase, stage: str) -> str:
    """Return the stage whose phase makes a table: labels that do not land come with another one."""
    labels = use_case.labels
    if stage != "labels" or labels is None or labels.landed:
        return stage
    return "votes" if labels.rules is not None else "label_rounds"


def check_definitions(use_case: UseCase, lake: Lake, partitions: Sequence[str]) -> list[str]:
    """Check that a training set was made by today's definitions, from the landing on.

    Parameters
    ----------
    use_case : UseCase
        `train.mixed_definitions` says what happens otherwise.
    lake : Lake
        Where the partitions are.
    partitions : sequence of str
        What the training learns from, the holdout included.

    Returns
    -------
    list of str
        With `mixed_definitions: name`, a sentence for each table and other definition: a model that
        learned from them names them. Empty where all is of today.

    Raises
    ------
    DataContractError
        With `mixed_definitions: refuse`, where there is one.
    """
    told = [found.told(use_case, lake) for found in made_before(use_case, lake, partitions)]
    if told and use_case.train.mixed_definitions == "refuse":
        raise DataContractError(
            f"{use_case.name}: the partitions of a training must be made by the definitions of "
            f"today (train.mixed_definitions: refuse), but {len(told)} were not: "
            f"{'; '.join(told)}. Or set train.mixed_definitions to 'name' to train on them, named "
            "in the model."
        )
    return told


def named_in_tags(told: Sequence[str]) -> dict[str, str]:
    """Give the tags of a training's run and of its model version; none where all is of today.

    The second is the description that MLflow's page shows.
    """
    if not told:
        return {}
    text = bounded("; ".join(told), _TAG_LENGTH)
    note = f"Trained on partitions that another definition than the present one has made: {text}"
    return {"mixed_definitions": text, "mlflow.note.content": note}


def made_before(use_case: UseCase, lake: Lake, partitions: Sequence[str]) -> list[MadeBefore]:
    """Find what a training set rests on that another definition than today's has made."""
    found: dict[tuple[str, int | None], list[str]] = {}
    for stage, made in _made(use_case, lake, partitions):
        today = definition_of(use_case, stage)
        for key, definition in made.items():
            if definition != today:
                found.setdefault((stage, definition), []).append(key)
    return [MadeBefore(stage, sorted(keys), made_by) for (stage, made_by), keys in found.items()]


def definitions_version(use_case: UseCase, lake: Lake, partitions: Sequence[str]) -> int:
    """Digest the definitions that a training set was made by, and those of today.

    It changes when a partition is made again by another definition, also with the same rows.
    """
    made = [
        [stage, definition_of(use_case, stage), sorted(of_stage.items())]
        for stage, of_stage in _made(use_case, lake, partitions)
    ]
    return digest_63(json.dumps(made).encode())


def listed(keys: Sequence[str]) -> str:
    """Name a few keys, and a range of many.

    Examples
    --------
    >>> listed(["2013-01", "2013-02"])
    '2013-01, 2013-02'
    >>> listed([f"2013-{month:02}" for month in range(1, 13)])
    '12 partitions from 2013-01 to 2013-12'
    """
    if len(keys) <= _SHOWN:
        return ", ".join(keys)
    return f"{len(keys)} partitions from {keys[0]} to {keys[-1]}"


def _made(
    use_case: UseCase, lake: Lake, partitions: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, int | None]]]:
    """Give the definition of each partition, for each table that the training set rests on."""
    for stage in upstream("features", "labels", "votes"):
        for name in tables_of(stage, use_case.features.references):
            keys = [*partitions, ALL] if stage == REFERENCE else partitions
            table = lake.table(use_case.name, name)
            there = sorted(set(table.partitions()) & set(keys))
            if there:
                made = table.made_from({key: [DEFINITION] for key in there})
                yield name, {key: made[key][DEFINITION] for key in there}
