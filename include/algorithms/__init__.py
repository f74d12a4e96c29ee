"""The algorithms that a use case can choose from: one file each.

Each module here whose name does not begin with `_` holds one subclass of `Algorithm`, and is found
automatically: to add an algorithm, add its file. The common checks of tests/include/algorithms then
run for it, too.

Dag files load use cases each time Airflow parses them, so a module here imports the algorithm's
library inside `make` and not at its top.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from include.algorithms._base import Algorithm, Params, Preparation, Span, Task, WholeSpan

__all__ = ["ALGORITHMS", "Algorithm", "Params", "Preparation", "Span", "Task", "WholeSpan"]


def _in_module(name: str) -> type[Algorithm]:
    module = import_module(f"{__name__}.{name}")
    (found,) = [
        one
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, Algorithm)
        and one.__module__ == module.__name__
    ]
    return found


ALGORITHMS: dict[str, type[Algorithm]] = {
    one.model_fields["estimator"].annotation.__args__[0]: one  # type: ignore[union-attr]
    for one in sorted(
        (_in_module(m.name) for m in pkgutil.iter_modules(__path__) if m.name[0] != "_"),
        key=lambda one: one.simplicity,
    )
}
"""By the name in the YAML, simplest first."""
