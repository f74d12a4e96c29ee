"""The preprocessing of a fitted pipeline as plain arrays and tables.

scikit-learn's own takes 2 milliseconds for a row, most of it checks and pandas. The numbers here
are those of the fitted objects, and the arithmetic is theirs, so the matrix is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.algorithms._empty_columns import EmptyColumns

Floats = npt.NDArray[np.float64]

_UNSEEN = "\0 no training row has this text"


class NotConvertible(Exception):  # noqa: N818  a finding, not a failure
    """A pipeline, or a part of one, that has no graph here: which."""


@dataclass(frozen=True, eq=False)
class _Category:
    """What one categorical feature becomes: a row of `table` for each text, the last for others."""

    name: str
    places: Mapping[str, int]
    table: Floats

    def columns(self, values: Sequence[str]) -> Floats:
        other = len(self.places)
        find = self.places.get
        return self.table[[find(value, other) for value in values]]


@dataclass(frozen=True, eq=False)
class Encoding:
    """From features to the matrix that the estimator takes.

    Attributes
    ----------
    numeric : list of str
        The numeric features, which are the first columns.
    fill : ndarray, optional
        What a missing number becomes; None where it stays missing.
    empty : ndarray of bool, optional
        Columns of which the fit saw no value: they are 0.
    mean, scale : ndarray, optional
        What is subtracted, and divided by then.
    categories : list of _Category
        The categorical features, in order.
    """

    numeric: list[str]
    categories: list[_Category]
    fill: Floats | None = None
    empty: npt.NDArray[np.bool_] | None = None
    mean: Floats | None = None
    scale: Floats | None = None

    def matrix(self, features: Mapping[str, Any]) -> Floats:
        """Encode features.

        Parameters
        ----------
        features : mapping of str to array
            By name: numbers as float64, texts as objects; all of one length.

        Returns
        -------
        ndarray of float64 of shape (n_rows, n_columns)
        """
        blocks = []
        if self.numeric:
            numbers = np.column_stack([features[name] for name in self.numeric])
            blocks.append(self._numbers(numbers))
        blocks += [each.columns(features[each.name]) for each in self.categories]
        return np.ascontiguousarray(np.hstack(blocks))

    def _numbers(self, numbers: Floats) -> Floats:
        if self.empty is not None and self.empty.any():
            numbers = np.where(self.empty, 0.0, numbers)
        if self.fill is not None:
            numbers = np.where(np.isnan(numbers), self.fill, numbers)
        if self.mean is not None and self.scale is not None:
            numbers = (numbers - self.mean) / self.scale
        return numbers


def encoding_of(prepare: Any) -> Encoding:
    """Read the preprocessing that `include.modelling.estimators` makes, once it is fitted.

    Raises
    ------
    NotConvertible
        It is another one.
    """
    blocks = {
        name: (block, columns) for name, block, columns in getattr(prepare, "transformers_", [])
    }
    if not blocks or blocks.keys() - {"numeric", "categorical"}:
        raise NotConvertible(f"the preprocessing {type(prepare).__name__}")
    numeric, names = blocks.get("numeric", (None, []))
    encoder, categorical = blocks.get("categorical", (None, []))
    return Encoding(
        numeric=list(names),
        categories=_categories(encoder, list(categorical)),
        **(_number_rules(numeric) if len(names) else {}),
    )


def categories_of(pipeline: Any) -> dict[str, frozenset[str]]:
    """Read the categories that a fitted pipeline knows, by categorical feature.

    Returns
    -------
    dict of str to frozenset of str
        Empty where the pipeline is not one of `include.modelling.estimators`.
    """
    prepare = getattr(pipeline, "named_steps", {}).get("prepare")
    for name, encoder, columns in getattr(prepare, "transformers_", []):
        if name == "categorical" and hasattr(encoder, "categories_"):
            known = zip(columns, encoder.categories_, strict=True)
            return {column: frozenset(map(str, texts)) for column, texts in known}
    return {}


def columns_of(X: pd.DataFrame | Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Take columns of a frame, or pandas' arrays by name, as NumPy's arrays."""
    return {name: _plain(X[name]) for name in names}


def _plain(column: Any) -> npt.NDArray[Any]:
    return column if isinstance(column, np.ndarray) else np.asarray(column.to_numpy())


def _number_rules(block: Any) -> dict[str, Any]:
    if isinstance(block, EmptyColumns):
        return {"empty": block.empty_}
    steps = dict(getattr(block, "steps", []))
    if steps.keys() != {"impute", "scale"}:
        raise NotConvertible(f"the preprocessing of numbers {type(block).__name__}")
    scale = steps["scale"]
    return {"fill": steps["impute"].statistics_, "mean": scale.mean_, "scale": scale.scale_}


def _categories(encoder: Any, names: list[str]) -> list[_Category]:
    """Ask the encoder itself what it makes of each text: its rare and its unknown ones, too."""
    if not names:
        return []
    if not hasattr(encoder, "categories_"):
        raise NotConvertible(f"the encoder {type(encoder).__name__}")
    firsts = [texts[0] for texts in encoder.categories_]
    found, start = [], 0
    for place, (name, texts) in enumerate(zip(names, encoder.categories_, strict=True)):
        asked = pd.DataFrame(
            {other: [first] * (len(texts) + 1) for other, first in zip(names, firsts, strict=True)},
            dtype="str",
        )
        asked[name] = pd.Series([*texts, _UNSEEN], dtype="str")
        table = encoder.transform(asked)
        table = np.asarray(table.toarray() if hasattr(table, "toarray") else table, np.float64)
        stop = start + _width(encoder, place, len(names))
        places = {str(text): row for row, text in enumerate(texts)}
        found.append(_Category(name, places, np.ascontiguousarray(table[:, start:stop])))
        start = stop
    return found


def _width(encoder: Any, place: int, count: int) -> int:
    """Count the columns that a categorical feature becomes."""
    if hasattr(encoder, "encodings_"):  # a TargetEncoder: one, or one for each class
        return len(encoder.encodings_) // count
    if not hasattr(encoder, "infrequent_categories_"):
        raise NotConvertible(f"the encoder {type(encoder).__name__}")
    rare = encoder.infrequent_categories_[place]  # they share one column
    return len(encoder.categories_[place]) - (0 if rare is None else len(rare) - 1)
