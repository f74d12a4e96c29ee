"""What each partition of a stage would be made from now.

Each function gives, for each partition that the stage should hold, the version of everything it is
made from. A result that was published from exactly these is up to date. Versions are digests of
content, so doing something again with the same outcome makes nothing due.

`keys` restricts the answer: a run needs its own partition only, and to look up 400 takes a second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from include.due.definitions import DEFINITION, definition_of
from include.due.mixed import definitions_version
from include.lake.records import digest_63
from include.lake.table import Lake
from include.modelling.training_set import fingerprint, labelled_partitions
from include.use_cases.schema import UseCase

Sources = Mapping[str, int]
"""Source, such as `flight_delays.raw` or `definition`, and the version of it that is read."""
Wanted = Mapping[str, Sources]
"""Sources by partition key."""

ABSENT = 0
"""Version of a source that is not there; the result is made without it."""

Keys = Collection[str] | None
"""Partition keys that are asked about; None for all."""


def wanted_clean(use_case: UseCase, lake: Lake, keys: Keys = None) -> Wanted:
    """Return the sources of `clean`: each raw partition."""
    return _made_from(use_case, "clean", _versions(use_case, lake, "raw", keys))


def wanted_votes(use_case: UseCase, lake: Lake, keys: Keys = None) -> Wanted:
    """Return the sources of `votes`: each clean partition, where rules label rows."""
    if use_case.labels is None or use_case.labels.rules is None:
        return {}
    return _made_from(use_case, "votes", _versions(use_case, lake, "clean", keys))


def wanted_features(use_case: UseCase, lake: Lake, keys: Keys = None) -> Wanted:
    """Return the sources of `features`: each clean partition, and its partition of each reference.

    Of a reference that lands whole only its presence counts, not its version: a new aircraft in the
    register does not change the features of earlier flights.
    """
    sources = _versions(use_case, lake, "clean", keys)
    for name in use_case.features.references:
        stage = f"reference_{name}"
        table = lake.table(use_case.name, stage)
        if use_case.ingest.references[name].partitioned or not table.partitions():
            _add(sources, use_case, lake, stage)
    return _made_from(use_case, "features", sources)


def wanted_label_quality(use_case: UseCase, lake: Lake, keys: Keys = None) -> Wanted:
    """Return the sources of `label_quality`: labels, and the features of the same partition."""
    if use_case.labels is None:
        return {}
    sources = _versions(use_case, lake, "labels", keys)
    _add(sources, use_case, lake, "features")
    return _made_from(use_case, "label_quality", sources)


def wanted_predictions(
    use_case: UseCase, lake: Lake, known_up_to: str | None, keys: Keys = None
) -> Wanted:
    """Return the sources of `predictions`: features later than what the champion has learned from.

    Parameters
    ----------
    use_case, lake : UseCase, Lake
        Whose features.
    known_up_to : str or None
        The newest partition that the champion learned from or was judged on, see `Promotion`; None
        when there is no champion: then nothing is wanted. Scoring partitions up to there would
        overstate its performance.
    keys : collection of str, optional
        Only these.
    """
    if known_up_to is None:
        return {}
    features = _versions(use_case, lake, "features", keys)
    later = {key: sources for key, sources in features.items() if key > known_up_to}
    return _made_from(use_case, "predictions", later)


def wanted_monitoring(use_case: UseCase, lake: Lake, keys: Keys = None) -> Wanted:
    """Return the sources of `monitoring`: features, predictions, and labels that have landed."""
    predictions = _versions(use_case, lake, "predictions", keys)
    features = _versions(use_case, lake, "features", predictions)
    sources = {key: {**features[key], **predictions[key]} for key in predictions if key in features}
    if use_case.labels is not None:
        _add(sources, use_case, lake, "labels")
    return _made_from(use_case, "monitoring", sources)


def wanted_decisions(use_case: UseCase, lake: Lake, keys: Keys = None) -> Wanted:
    """Return the sources of `decisions`: each monitored partition."""
    return _made_from(use_case, "decisions", _versions(use_case, lake, "monitoring", keys))


def wanted_training(use_case: UseCase, lake: Lake, as_of: str) -> Wanted:
    """One training: the partitions that it would learn from, what made them, and how it learns."""
    labelled = labelled_partitions(use_case, lake, as_of)
    sources = {
        "training_set": digest_63(fingerprint(use_case, lake, labelled).encode()),
        "definitions": definitions_version(use_case, lake, labelled),
    }
    return _made_from(use_case, "training", {as_of: sources})


def _versions(use_case: UseCase, lake: Lake, stage: str, keys: Keys) -> dict[str, dict[str, int]]:
    table = lake.table(use_case.name, stage)
    versions = table.partition_versions(keys)
    return {key: {table.name: version or ABSENT} for key, version in versions.items()}


def _add(sources: dict[str, dict[str, int]], use_case: UseCase, lake: Lake, stage: str) -> None:
    table = lake.table(use_case.name, stage)
    versions = table.partition_versions(sources)
    for key, of_key in sources.items():
        of_key[table.name] = versions.get(key) or ABSENT


def _made_from(use_case: UseCase, stage: str, sources: dict[str, dict[str, int]]) -> Wanted:
    definition = definition_of(use_case, stage) if sources else ABSENT
    return {key: {**of_key, DEFINITION: definition} for key, of_key in sources.items()}
