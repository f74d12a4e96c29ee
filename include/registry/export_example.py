"""Score rows of features: `python example.py` takes those of example.json, `-` reads stdin."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

about = json.loads(Path("model.json").read_text())
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])


def score(rows: list[dict[str, Any]]) -> Any:
    """Return the scores of rows, each a dict of features: a column for each of about["scores"]."""
    numbers = {n: np.array([[row[n]] for row in rows], np.float64) for n in about["numeric"]}
    texts = {n: np.array([[row[n]] for row in rows], object) for n in about["categorical"]}
    return session.run(["scores"], numbers | texts)[0]


if __name__ == "__main__":
    text = sys.stdin.read() if sys.argv[1:] == ["-"] else Path("example.json").read_text()
    sys.stdout.write(json.dumps(score(json.loads(text)["rows"]).tolist()))
