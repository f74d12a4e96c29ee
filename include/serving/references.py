"""Reference tables in memory: each version of a table once, however many models join it."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping

from include.lake.table import Input, Lake
from include.modelling.references import Indexed, load_references
from include.use_cases.schema import UseCase


class ReferenceTables:
    """The reference tables that models join.

    A table is shared while any model holds it: two versions that need the same columns of the same
    table version hold one copy, also while one replaces the other. What no model holds is dropped.

    Parameters
    ----------
    lake : Lake
        Where they are.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._held: weakref.WeakValueDictionary[tuple[Input, str], Indexed] = (
            weakref.WeakValueDictionary()
        )

    def versions(self, use_case: UseCase) -> dict[str, Input]:
        """Look up the version of each reference that features need, by its name.

        With the table's id: one that was moved away and made anew counts its versions from 0 again.
        """
        return {
            name: self._lake.table(use_case.name, f"reference_{name}").pin()
            for name in use_case.features.references
        }

    def load(self, use_case: UseCase, versions: Mapping[str, Input]) -> dict[str, Indexed]:
        """Return these versions of the tables, each indexed by its key; reads what is not held."""
        return {name: self._table(use_case, name, pin) for name, pin in versions.items()}

    def _table(self, use_case: UseCase, name: str, pin: Input) -> Indexed:
        declared = use_case.ingest.references[name].model_dump(mode="json")
        key = (pin, json.dumps(declared, sort_keys=True))
        found = self._held.get(key)
        if found is None:
            only = use_case.features.model_copy(update={"references": [name]})
            alone = use_case.model_copy(update={"features": only})
            found = load_references(alone, self._lake, {pin.table: pin.version})[0][name]
            self._held[key] = found
        return found
