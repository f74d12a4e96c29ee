"""What an algorithm says about itself, and the ranges that its parameters are searched in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from include.strict import Strict

Task = Literal["classification", "regression", "clustering"]
Preparation = Literal["scaled", "target_encoded", "passthrough"]
Params = dict[str, float | int]


class Span(Strict):
    """The range in which a hyperparameter is searched, ends included."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, got {self.low}")
        return self


class WholeSpan(Span):
    """A range of whole numbers, ends included."""

    @model_validator(mode="after")
    def _whole(self) -> WholeSpan:
        for end in (self.low, self.high):
            if end != int(end):
                raise ValueError(f"low and high must be whole numbers, got {end}")
        return self


class Algorithm(Strict):
    """An algorithm, and one search space of it: an item of ``train.candidates``.

    A subclass declares `estimator` as a `Literal`, which is the name in the YAML, and each
    hyperparameter as a field: a `Span` or a `WholeSpan` is searched, a number is fixed. The first
    line of its docstring is shown in docs/use-case.md.

    Attributes
    ----------
    tasks : tuple of str
        The tasks that it can learn.
    simplicity : int
        Its place among all algorithms, simplest first: the order in which they are listed.
    prepare : {'scaled', 'target_encoded', 'passthrough'}
        The preprocessing that `include.modelling.estimators` puts before it. 'scaled': numbers
        imputed and standardized, categories one-hot encoded. 'target_encoded': numbers as they are,
        NaN where missing, and for a category its mean label. 'passthrough': none, it gets the
        features as a DataFrame.
    takes_weights : bool
        Whether `fit` takes `sample_weight`.
    for_the_median : mapping of str to Any
        Parameters with which a regression predicts the median, as the metric mae asks for; empty
        where there is no such loss, or it is slow.
    trusted : tuple of str
        Types in its model file that skops does not trust by default.
    packages : tuple of str
        Distributions that its predictions need besides scikit-learn.
    """

    estimator: str

    tasks: ClassVar[tuple[Task, ...]]
    simplicity: ClassVar[int]
    prepare: ClassVar[Preparation]
    takes_weights: ClassVar[bool]
    for_the_median: ClassVar[Mapping[str, Any]] = {}
    trusted: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the unfitted scikit-learn estimator; its library is imported here, and not before.

        It must use one thread: trials already run in parallel.
        """
        raise NotImplementedError

    @classmethod
    def fewest_rows(cls, params: Mapping[str, float | int]) -> int:
        """Return how many rows a fit with these parameters needs.

        Ten by default: five of each of two classes, because target encoding cuts five folds.
        """
        return 10

    @property
    def space(self) -> Mapping[str, Span | float | int]:
        """The hyperparameters by name, each a range or a fixed number."""
        names = [name for name in type(self).model_fields if name != "estimator"]
        return {name: getattr(self, name) for name in names}
