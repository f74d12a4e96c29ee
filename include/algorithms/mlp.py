"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from include.algorithms._base import Algorithm, Span, Task, WholeSpan


class MLP(Algorithm):
    """Neural network with one hidden layer (scikit-learn's MLP*)."""

    estimator: Literal["mlp"]
    hidden_units: WholeSpan = WholeSpan(low=8, high=128, log=True)
    alpha: Span = Span(low=1e-5, high=1.0, log=True)
    learning_rate_init: Span = Span(low=3e-4, high=1e-2, log=True)
    max_iter: Annotated[int, Field(ge=10, le=2000)] = 200

    tasks = ("classification", "regression")
    simplicity = 60
    prepare = "scaled"
    takes_weights = True
    trusted = ("sklearn.neural_network._stochastic_optimizers.AdamOptimizer",)

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator; for regression the label is scaled while it learns."""
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.preprocessing import StandardScaler

        others = {name: value for name, value in params.items() if name != "hidden_units"}
        kind = MLPClassifier if task == "classification" else MLPRegressor
        layers = (params["hidden_units"],)
        network = kind(hidden_layer_sizes=layers, random_state=random_state, **others)
        if task == "classification":
            return network
        return TransformedTargetRegressor(network, transformer=StandardScaler())
