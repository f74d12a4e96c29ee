"""ONNX graphs of fitted estimators, in double precision throughout.

skl2onnx 1.20 writes trees with thresholds of single precision: a row whose value lies between a
threshold and its rounding takes the other branch (839 of 12,000 such rows did). The operator
`TreeEnsemble` of ai.onnx.ml 5 has double precision, and skl2onnx does not write it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from include.runtime.encoding import NotConvertible

INPUT, OUTPUT = "matrix", "scores"
_ML_OPSET, _OPSET, _IR = 5, 21, 10
_SUM, _BRANCH_LEQ = 1, 0


@dataclass
class _Graph:
    """A graph in the making: nodes and constants."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add(self, op: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        output = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))
        return output

    def constant(self, value: npt.ArrayLike) -> str:
        """Add a constant of float64; returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float64), name))
        return name


def graph_of(estimator: Any, columns: int) -> bytes:
    """Write the graph of a fitted estimator.

    Its input is `INPUT`, float64 of shape (n_rows, columns); its output `OUTPUT`, float64: what
    `predict_proba` gives of a classifier, `predict` of a regressor as a column.

    Raises
    ------
    NotConvertible
        There is no graph of this kind of estimator here.
    """
    made = _GRAPHS.get(type(estimator).__name__)
    if made is None:
        raise NotConvertible(f"the estimator {type(estimator).__name__}")
    graph = _Graph()
    result = made(graph, estimator)
    graph.nodes.append(helper.make_node("Identity", [result], [OUTPUT]))
    double = TensorProto.DOUBLE
    about = helper.make_graph(
        graph.nodes,
        type(estimator).__name__,
        [helper.make_tensor_value_info(INPUT, double, [None, columns])],
        [helper.make_tensor_value_info(OUTPUT, double, [None, None])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    model: ModelProto = helper.make_model(about, opset_imports=opsets, ir_version=_IR)
    return bytes(model.SerializeToString())


def thresholds_of(estimator: Any) -> Iterator[tuple[int, float]]:
    """Give each place where a tree splits: the column, and the threshold."""
    if hasattr(estimator, "_predictors"):
        for tree, _ in _boosted_trees(estimator):
            for node in tree.nodes[tree.nodes["is_leaf"] == 0]:
                yield int(node["feature_idx"]), float(node["num_threshold"])
    for each in getattr(estimator, "estimators_", []):
        for column, value in zip(each.tree_.feature, each.tree_.threshold, strict=True):
            if column >= 0:
                yield int(column), float(value)


@dataclass
class _Trees:
    """The attributes of `TreeEnsemble`, filled tree by tree."""

    roots: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    missing_left: list[int] = field(default_factory=list)
    left: list[tuple[int, bool]] = field(default_factory=list)
    right: list[tuple[int, bool]] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def leaf(self, target: int, weight: float) -> int:
        self.targets.append(target)
        self.weights.append(weight)
        return len(self.weights) - 1

    def node(self, column: int, split: float, missing_left: bool) -> int:
        self.columns.append(column)
        self.splits.append(split)
        self.missing_left.append(int(missing_left))
        self.left.append((0, True))
        self.right.append((0, True))
        return len(self.columns) - 1

    def write(self, graph: _Graph, matrix: str, targets: int) -> str:
        double = TensorProto.DOUBLE
        return graph.add(
            "TreeEnsemble",
            [matrix],
            "ai.onnx.ml",
            n_targets=targets,
            aggregate_function=_SUM,
            post_transform=0,
            tree_roots=self.roots,
            nodes_featureids=self.columns,
            nodes_splits=helper.make_tensor("splits", double, [len(self.splits)], self.splits),
            nodes_modes=helper.make_tensor(
                "modes", TensorProto.UINT8, [len(self.splits)], [_BRANCH_LEQ] * len(self.splits)
            ),
            nodes_missing_value_tracks_true=self.missing_left,
            nodes_truenodeids=[place for place, _ in self.left],
            nodes_trueleafs=[int(leaf) for _, leaf in self.left],
            nodes_falsenodeids=[place for place, _ in self.right],
            nodes_falseleafs=[int(leaf) for _, leaf in self.right],
            leaf_targetids=self.targets,
            leaf_weights=helper.make_tensor("weights", double, [len(self.weights)], self.weights),
        )


def _boosted_trees(estimator: Any) -> Iterator[tuple[Any, int]]:
    """Give each tree of a histogram gradient boosting, and the class that it is of."""
    for trees in estimator._predictors:
        yield from ((tree, target) for target, tree in enumerate(trees))


def _boosting(graph: _Graph, estimator: Any) -> str:
    trees = _Trees()
    for tree, target in _boosted_trees(estimator):
        nodes = tree.nodes
        if nodes["is_categorical"].any():
            raise NotConvertible("a tree with categories")

        def grow(at: int, nodes: Any = nodes, target: int = target) -> tuple[int, bool]:
            node = nodes[at]
            if node["is_leaf"]:
                return trees.leaf(target, float(node["value"])), True
            place = trees.node(
                int(node["feature_idx"]),
                float(node["num_threshold"]),
                bool(node["missing_go_to_left"]),
            )
            trees.left[place] = grow(int(node["left"]))
            trees.right[place] = grow(int(node["right"]))
            return place, False

        _plant(trees, grow(0))
    baseline = np.asarray(estimator._baseline_prediction, np.float64).reshape(1, -1)
    raw = trees.write(graph, INPUT, baseline.shape[1])
    raw = graph.add("Add", [raw, graph.constant(baseline)])
    return _probabilities(graph, raw, estimator) if hasattr(estimator, "classes_") else raw


def _forest(graph: _Graph, estimator: Any) -> str:
    trees, count = _Trees(), len(estimator.estimators_)
    classifies = hasattr(estimator, "classes_")
    if classifies and len(estimator.classes_) != 2:
        raise NotConvertible("a forest of more than two classes")
    for each in estimator.estimators_:
        tree = each.tree_
        values = tree.value[:, 0, :]
        # Of two classes the second: a leaf of `TreeEnsemble` has one target.
        values = values[:, 1] / values.sum(axis=1) if classifies else values[:, 0]

        def grow(at: int, tree: Any = tree, values: Any = values) -> tuple[int, bool]:
            if tree.children_left[at] < 0:
                return trees.leaf(0, float(values[at] / count)), True
            place = trees.node(
                int(tree.feature[at]), float(tree.threshold[at]), bool(tree.missing_go_to_left[at])
            )
            trees.left[place] = grow(int(tree.children_left[at]))
            trees.right[place] = grow(int(tree.children_right[at]))
            return place, False

        _plant(trees, grow(0))
    # Forests compare in single precision with a threshold of double precision.
    single = graph.add("Cast", [INPUT], to=TensorProto.FLOAT)
    matrix = graph.add("Cast", [single], to=TensorProto.DOUBLE)
    scores = trees.write(graph, matrix, 1)
    return _both_classes(graph, scores) if classifies else scores


def _plant(trees: _Trees, root: tuple[int, bool]) -> None:
    """Note where a tree begins; one that is a leaf alone gets a node above it."""
    place, is_leaf = root
    if is_leaf:
        above = trees.node(0, 0.0, True)
        trees.left[above] = trees.right[above] = (place, True)
        place = above
    trees.roots.append(place)


def _linear(graph: _Graph, estimator: Any) -> str:
    slopes = np.atleast_2d(estimator.coef_).T
    intercept = np.broadcast_to(np.asarray(estimator.intercept_, np.float64), (slopes.shape[1],))
    raw = graph.add("MatMul", [INPUT, graph.constant(slopes)])
    raw = graph.add("Add", [raw, graph.constant(intercept.reshape(1, -1))])
    return _probabilities(graph, raw, estimator) if hasattr(estimator, "classes_") else raw


def _probabilities(graph: _Graph, raw: str, estimator: Any) -> str:
    if len(estimator.classes_) > 2:
        return graph.add("Softmax", [raw], axis=1)
    return _both_classes(graph, graph.add("Sigmoid", [raw]))


def _both_classes(graph: _Graph, one: str) -> str:
    zero = graph.add("Sub", [graph.constant([[1.0]]), one])
    return graph.add("Concat", [zero, one], axis=1)


_GRAPHS: dict[str, Callable[[_Graph, Any], str]] = {
    "HistGradientBoostingClassifier": _boosting,
    "HistGradientBoostingRegressor": _boosting,
    "LogisticRegression": _linear,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "Ridge": _linear,
}
