"""The types a model file may hold beyond what skops trusts by itself.

The list is ours and constant. A model file, or the `MLmodel` beside it, never says what is to be
trusted: an altered `MLmodel` would then name its own loader.
"""

from __future__ import annotations

TRUSTED_TYPES: tuple[str, ...] = (
    "numpy.dtype",  # categories of the encoders
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.KFold",  # of the target encoder; holds three numbers
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",
)
