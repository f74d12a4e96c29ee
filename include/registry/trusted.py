"""The types a model file may hold beyond what skops trusts by itself.

`TRUSTED_TYPES` is ours and constant: what every pipeline needs, and what each algorithm names. A
model of the use case's own estimator holds classes of the use case's own Python, too. The signed
manifest names them, and they are looked up in the package's own copy of that Python and nowhere
else. A model file, or the `MLmodel` beside it, never says what is to be trusted: an altered
`MLmodel` would then name its own loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.algorithms import ALGORITHMS
from include.errors import DataContractError
from include.use_cases.own_code import is_own, split
from include.use_cases.python_package import OwnPython

TRUSTED_TYPES: tuple[str, ...] = (
    "include.algorithms._empty_columns.EmptyColumns",
    "numpy.dtype",  # categories of the encoders
    "sklearn.model_selection._split.KFold",  # of the target encoder; holds three numbers
    "sklearn.model_selection._split.StratifiedKFold",
    *sorted({name for algorithm in ALGORITHMS.values() for name in algorithm.trusted}),
)


def types_of(python: OwnPython, candidate: str) -> list[str]:
    """Name the classes that an own estimator's model may hold: those that its module brings.

    Parameters
    ----------
    python : OwnPython
        The use case's own.
    candidate : str
        The estimator; of one that is not ``own:`` there are none.

    Returns
    -------
    list of str
        Such as ``models.Median``: classes of the module and of the siblings that it imports.
    """
    if not is_own(candidate):
        return []
    found = []
    for file, _ in python.part(split(candidate)[0]).files:
        stem = Path(file).stem
        module = python.module(stem)
        found += [
            f"{stem}.{name}"
            for name, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == f"{python.package}.{stem}"
        ]
    return sorted(found)


def trusted_types(python: OwnPython, own_types: Sequence[str]) -> list[str]:
    """Return all types that a model file may hold; those of its own Python are imported first.

    Parameters
    ----------
    python : OwnPython
        The package's own copy.
    own_types : sequence of str
        What `types_of` returned, from the signed manifest.

    Raises
    ------
    DataContractError
        One of them is not a class of `python`.
    """
    trusted = list(TRUSTED_TYPES)
    for name in own_types:
        stem, _, attribute = name.partition(".")
        found = getattr(python.module(stem), attribute, None)
        module = f"{python.package}.{stem}"
        if not (isinstance(found, type) and found.__module__ == module):
            files = [file for file, _ in python.files]
            raise DataContractError(
                f"{python.use_case}: the manifest's own_types must be classes of the package's own "
                f"Python ({files}), got {name!r}. Train again."
            )
        trusted.append(f"{module}.{attribute}")
    return trusted
