"""LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.algorithms._base import Algorithm, Span, Task, WholeSpan
from include.errors import ConfigError


class LightGBM(Algorithm):
    """Gradient-boosted trees that grow leaf by leaf (the package lightgbm)."""

    estimator: Literal["lightgbm"]
    learning_rate: Span = Span(low=0.03, high=0.3, log=True)
    num_leaves: WholeSpan = WholeSpan(low=15, high=63, log=True)
    min_child_samples: WholeSpan = WholeSpan(low=5, high=100, log=True)
    reg_lambda: Span = Span(low=1e-3, high=10.0, log=True)
    n_estimators: Annotated[int, Field(ge=10, le=2000)] = 100

    tasks = ("classification", "regression")
    simplicity = 51
    prepare = "target_encoded"
    takes_weights = True
    for_the_median: ClassVar[Mapping[str, Any]] = {"objective": "l1"}
    # A booster is stored and read as LightGBM's own text form, not as a pickle.
    trusted = (
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
    )
    packages = ("lightgbm",)

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator: one thread and a fixed order of sums make it deterministic.

        Raises
        ------
        ConfigError
            A library of the system that LightGBM needs is missing.
        """
        try:
            from lightgbm import LGBMClassifier, LGBMRegressor
        except OSError as error:
            raise ConfigError(
                f"lightgbm cannot be loaded: {error}. Install the system's OpenMP library (Debian: "
                "apt-get install libgomp1), or take it out of train.candidates."
            ) from error

        kind = LGBMClassifier if task == "classification" else LGBMRegressor
        return kind(
            n_jobs=1,
            deterministic=True,
            force_row_wise=True,
            colsample_bytree=0.5,  # as for hist_gradient_boosting
            random_state=random_state,
            verbosity=-1,
            **params,
        )
