"""A model version as a folder that another program embeds, without this repository.

::

    model.onnx        features in by name, scores out, in double precision
    model.json        the features in order, their kinds, what the scores are of
    example.py        scores the rows of example.json; needs numpy and onnxruntime alone
    example.json      rows of features, and their scores
    requirements.txt  the versions that were compared
    parity.json       how the scores were compared with those of the registered version
    CARD.md           what it predicts, what it was trained on, how good it is, what it does not do
    manifest.json, manifest.sig   of the registered package: they say where the model is from
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np

from include.errors import ConfigError, DataContractError
from include.registry import manifest
from include.registry.client import Registry
from include.registry.package import ServableModel
from include.runtime.scorer import CLOSE
from include.runtime.whole_graph import whole_graph
from include.use_cases.schema import UseCase

EXAMPLES = 5
_PACKAGES = ("numpy", "onnxruntime")
_PROGRAM = Path(__file__).with_name("export_example.py")


@dataclass(frozen=True)
class Compared:
    """How an export was compared with the version that it was made of.

    Attributes
    ----------
    model : str
        Such as ``flight_delays/2``.
    rows : int
        Rows of the holdout that both scored.
    largest_difference : float
        Of a score, relative to scores above 1.
    limit : float
        From which an export is refused.
    packages : dict of str to str
        The versions that scored.
    """

    model: str
    rows: int
    largest_difference: float
    limit: float
    packages: dict[str, str]


def export(use_case: str, version: str, registry: Registry, folder: Path) -> Compared:
    """Verify a version, write the folder, and compare the two.

    Raises
    ------
    ConfigError
        The folder is there already, or the version has no ONNX graph.
    DataContractError
        The package is not what was signed, or the export scores otherwise.
    """
    if folder.exists():
        raise ConfigError(f"TO={folder}: must be a new folder. Name another one, or remove it.")
    model = registry.load(use_case, version)
    name = f"{use_case}/{version}"
    if model.onnx is None:
        raise ConfigError(
            f"{name} has no ONNX graph ({model.parity['reason']}), and without this repository "
            "nothing else scores it. Ask the server for its predictions; or train a candidate that "
            "has a graph (docs/serving.md, Runtime)."
        )
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        package = registry.fetch(use_case, version)
        compared = _write(model, package, unfinished, name)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return compared


def _write(model: ServableModel, package: Path, folder: Path, name: str) -> Compared:
    assert model.onnx is not None  # noqa: S101 - for mypy: `export` has looked
    use_case, encoding = model.use_case, model.onnx.encoding
    estimator = (package / "flywheel" / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(whole_graph(encoding, estimator))
    about = {
        "model": name,
        "numeric": encoding.numeric,
        "categorical": [each.name for each in encoding.categories],
        "scores": _scores_of(model),
    }
    _write_json(folder / "model.json", about)
    shutil.copy(_PROGRAM, folder / "example.py")
    for file in (manifest.MANIFEST, manifest.SIGNATURE):
        shutil.copy(package / file, folder / file)
    versions = {each: installed(each) for each in _PACKAGES}
    pins = "".join(f"{each}=={number}\n" for each, number in versions.items())
    (folder / "requirements.txt").write_text(pins)
    X = model.reference[use_case.features.columns]
    rows: list[dict[str, Any]] = [
        {str(key): None if value != value else value for key, value in row.items()}
        for row in X.astype(object).to_dict("records")
    ]
    expected = _raw_scores(model, X)
    found = _scored_elsewhere(folder, rows)
    differences = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    largest = float(differences.max())
    if not largest <= CLOSE:
        raise DataContractError(
            f"{name}: the export's scores must equal those of the registered version to {CLOSE}, "
            f"they differ by up to {largest:.2g}. Nothing was written; report it."
        )
    compared = Compared(name, len(rows), largest, CLOSE, versions)
    _write_json(folder / "parity.json", asdict(compared))
    some, digest = slice(0, EXAMPLES), manifest.sha256(folder / manifest.MANIFEST)
    _write_json(folder / "example.json", {"rows": rows[some], "scores": expected[some].tolist()})
    (folder / "CARD.md").write_text(card(model, name, compared, digest), encoding="utf-8")
    return compared


def _scores_of(model: ServableModel) -> list[str]:
    assert model.onnx is not None  # noqa: S101 - for mypy
    if model.onnx.classes_ is None:
        return ["value"]
    names = model.use_case.class_names or ["0", "1"]
    return [f"probability of {names[int(label)]}" for label in model.onnx.classes_]


def _raw_scores(model: ServableModel, X: Any) -> Any:
    """Score by scikit-learn itself, in the shape of the graph."""
    if model.use_case.task == "regression":
        return np.asarray(model.estimator.predict(X), np.float64)[:, None]
    return np.asarray(model.estimator.predict_proba(X), np.float64)


def _scored_elsewhere(folder: Path, rows: list[dict[str, Any]]) -> Any:
    """Run the example in an interpreter that finds nothing of this repository."""
    done = subprocess.run(
        [sys.executable, "-I", "example.py", "-"],
        cwd=folder, input=json.dumps({"rows": rows}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise DataContractError(f"{folder}: its example.py failed: {done.stderr[-2_000:]}")
    return np.array(json.loads(done.stdout), np.float64)


def card(model: ServableModel, name: str, compared: Compared, digest: str) -> str:
    """Write the card of a model, in Markdown."""
    use_case, facts = model.use_case, model.facts
    metrics = facts.get("metrics", {})
    partitions = facts.get("partitions") or [facts.get("as_of", "unknown")]
    lines = [
        f"# {name}",
        "",
        use_case.description.strip(),
        "",
        f"- Task: {use_case.task}; owner: {use_case.owner}",
        f"- Algorithm: {facts.get('candidate', 'unknown')}",
        f"- Learned from partitions up to {partitions[-1]}",
        f"- Training run: {facts.get('run_id', 'unknown')}",
        f"- Registered package: SHA-256 of its signed manifest.json {digest}",
        "",
        "## How good it is",
        "",
        *(_metric_lines(metrics, facts) or ["No metrics are recorded."]),
        "",
        "## What it takes",
        "",
        "Features, not raw rows. Make them as the use case does, or ask the scoring server.",
        "",
        "| feature | kind | made of |",
        "|---|---|---|",
        *_feature_lines(use_case, model.onnx.encoding.numeric if model.onnx else []),
        "",
        "A missing number is NaN (null in example.json), a missing category the text `missing`. A",
        "category that training did not see is scored as an unknown one.",
        "",
        "## What it does not do",
        "",
        "It joins no reference, cleans nothing, checks no range and logs nothing. Drift and decay",
        "are seen only of what the scoring server answers.",
        "",
        "## Is it the same model?",
        "",
        f"On {compared.rows:,} rows of the holdout the scores equal those of scikit-learn to",
        f"{compared.largest_difference:.1e} (parity.json; an export that differs by more than "
        f"{compared.limit:g} is refused).",
        "",
    ]
    return "\n".join(lines)


def _metric_lines(metrics: Mapping[str, float], facts: Mapping[str, Any]) -> list[str]:
    if not metrics:
        return []
    where = facts.get("holdout_partition", "the holdout")
    head = [f"On the holdout ({where}, {facts.get('holdout_rows', '?')} rows):", ""]
    return [*head, *(f"- {name}: {value:.6g}" for name, value in sorted(metrics.items()))]


def _feature_lines(use_case: UseCase, numeric: list[str]) -> list[str]:
    joined = {
        column: reference
        for reference in use_case.features.references
        for column in use_case.ingest.references[reference].values
    }
    lines = []
    for name in use_case.features.columns:
        kind = "number" if name in numeric else "text"
        if name in use_case.features.inputs:
            source = "the request's column"
        elif name in joined:
            source = f"reference `{joined[name]}`"
        else:
            source = "`derive` in features.py"
        lines.append(f"| `{name}` | {kind} | {source} |")
    return lines


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
