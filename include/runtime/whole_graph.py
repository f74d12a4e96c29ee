"""One ONNX graph of a whole pipeline: features in by name, scores out, nothing else needed.

Serving keeps encoding and estimator apart, because a dict of texts is faster there than the graph's
own look-up. Who embeds a model wants one file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from include.runtime.encoding import Encoding
from include.runtime.graphs import INPUT, OUTPUT


def whole_graph(encoding: Encoding, estimator: bytes) -> bytes:
    """Put the encoding before the estimator's graph.

    Parameters
    ----------
    encoding : Encoding
        From features to the matrix.
    estimator : bytes
        What `include.runtime.graphs.graph_of` wrote.

    Returns
    -------
    bytes
        Inputs are the features by name, of shape (n_rows, 1): float64 for numeric ones, NaN where
        missing; strings for categorical ones. Output is `OUTPUT`, as of the estimator's graph.
    """
    model = onnx.load_from_string(estimator)
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    inputs: list[ValueInfoProto] = []
    blocks: list[str] = []

    def add(op: str, arguments: list[str], domain: str = "", **attributes: Any) -> str:
        output = f"encoded_{len(nodes)}"
        nodes.append(helper.make_node(op, arguments, [output], domain=domain, **attributes))
        return output

    def constant(value: object, kind: type = np.float64) -> str:
        name = f"encoding_{len(constants)}"
        constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def given(name: str, kind: int) -> str:
        inputs.append(helper.make_tensor_value_info(name, kind, [None, 1]))
        return name

    if encoding.numeric:
        numbers = [given(name, TensorProto.DOUBLE) for name in encoding.numeric]
        block = add("Concat", numbers, axis=1)
        if encoding.empty is not None and encoding.empty.any():
            block = add("Where", [constant(encoding.empty, np.bool_), constant(0.0), block])
        if encoding.fill is not None:
            block = add("Where", [add("IsNaN", [block]), constant(encoding.fill), block])
        if encoding.mean is not None and encoding.scale is not None:
            centred = add("Sub", [block, constant(encoding.mean)])
            block = add("Div", [centred, constant(encoding.scale)])
        blocks.append(block)
    for category in encoding.categories:
        texts = list(category.places)
        places = add(
            "LabelEncoder",
            [given(category.name, TensorProto.STRING)],
            domain="ai.onnx.ml",
            keys_strings=texts,
            values_int64s=[category.places[text] for text in texts],
            default_int64=len(texts),
        )
        place = add("Squeeze", [places, constant([1], np.int64)])
        blocks.append(add("Gather", [constant(category.table), place], axis=0))
    nodes.append(helper.make_node("Concat", blocks, [INPUT], axis=1))
    model.graph.node.extend(nodes)
    # Nodes must stand in the order in which they are computed.
    count = len(model.graph.node) - len(nodes)
    ordered = [*model.graph.node[count:], *model.graph.node[:count]]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(constants)
    onnx.checker.check_model(model)
    assert [one.name for one in model.graph.output] == [OUTPUT]  # noqa: S101 - of our own making
    return bytes(model.SerializeToString())
