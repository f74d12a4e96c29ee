"""A model package: an MLflow model folder, what serving needs beside it, and a signature over all.

::

    MLmodel, model.skops, requirements.txt, ...   MLflow's scikit-learn flavour, in the skops format
    flywheel/use_case.yaml        the use case as it was trained
    flywheel/python/*.py          the use case's own Python, as it was
    flywheel/request_schema.json  columns a request carries, and their types
    flywheel/request_seen.json    what training saw of these columns; absent when not given
    flywheel/example.json         one request row
    flywheel/model.onnx           the estimator as an ONNX graph; absent where scikit-learn scores
    flywheel/runtime.json         which of the two scores, and how they were compared
    flywheel/reference.parquet    holdout features, predicted by a model that has not learned them
    flywheel/facts.json           metrics, lineage, and the environment: machine, libraries
    manifest.json, manifest.sig   SHA-256 of every other file, signed

An answer needs nothing else but the reference tables: no file of the working tree is read, and two
versions answer side by side in one process. Where the lock, the family of CPUs, the threads and the
references are the same, answers are equal bit for bit; elsewhere they agree within 1e-6.

Loading verifies first, then reads the model with skops and our own list of trusted types, beside
those classes of the package's own Python that the signed manifest names.
`mlflow.*.load_model` is never called: it does what the folder's own `MLmodel` says.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import skops.io
from packaging.requirements import Requirement

from include.algorithms import ALGORITHMS
from include.errors import ConfigError, DataContractError
from include.modelling.scoring import Floats, monitored, predictions, score_known, score_rows
from include.provenance import numerical_libraries
from include.registry import manifest
from include.registry.independence import Sample, scores_rows_alone
from include.registry.request_rules import Rule, Seen, from_json, rules_of, seen_in, to_json
from include.registry.trusted import trusted_types, types_of
from include.runtime.encoding import categories_of
from include.runtime.scorer import SCIKIT_LEARN, OnnxPipeline, Parity, convert
from include.use_cases.loader import dump, load_text
from include.use_cases.python_package import OwnPython, python_in
from include.use_cases.python_source import PACKAGES
from include.use_cases.schema import Columns, UseCase

if TYPE_CHECKING:
    from include.modelling.features import References

MODEL_FILE = "model.skops"  # MLflow's name for it
GRAPH = "model.onnx"
NEEDED = (*PACKAGES.values(), "skops")
"""Packages that answering with the model needs; their pins are those of the lock."""

_LOCK = Path(__file__).parents[2] / "requirements.txt"


@dataclass(frozen=True, eq=False)
class ServableModel:
    """A verified model, with what it takes to answer requests.

    Attributes
    ----------
    use_case : UseCase
        As it was when the model was trained.
    version : str
        Version in the registry; '' when loaded from a folder directly.
    estimator : fitted Pipeline
        Takes features.
    request_columns : dict of str to ColumnType
        What a request row carries.
    example : dict
        One request row, JSON values.
    reference : DataFrame
        Holdout features and the column `prediction`, made by a model that has not learned them: the
        score, or of three classes or more the name of the class.
    facts : dict
        Metrics and lineage. `evaluated_version` is there in a refit only: the version that the
        metrics, and the predictions of `reference`, are of.
    python : OwnPython
        The use case's own, as it was when the model was trained.
    request_seen : dict of str to Seen
        What training saw of the request columns; empty in a package written without training rows.
    rows_apart : bool, optional
        Whether each row is scored for itself, so that rows of several requests may be one batch;
        None where that was not tried.
    onnx : OnnxPipeline, optional
        What scores; without it, `estimator` does. Batches and requests are scored by the same.
    parity : dict
        Which runtime scores, and why; see `include.runtime.scorer.Parity`.
    """

    use_case: UseCase
    version: str
    estimator: Any
    request_columns: Columns
    example: dict[str, Any]
    reference: pd.DataFrame
    facts: dict[str, Any]
    python: OwnPython
    request_seen: dict[str, Seen] = field(default_factory=dict)
    rows_apart: bool | None = None
    onnx: OnnxPipeline | None = None
    parity: dict[str, Any] = field(default_factory=lambda: Parity(SCIKIT_LEARN).as_json())

    @cached_property
    def categories(self) -> dict[str, frozenset[str]]:
        """The categories of each categorical feature that training saw; see `categories_of`."""
        return categories_of(self.estimator)

    @cached_property
    def request_rules(self) -> dict[str, Rule]:
        """What the columns of a request may hold."""
        return rules_of(self.use_case, self.request_columns, self.request_seen)

    def score(self, rows: pd.DataFrame, references: References) -> Floats:
        """Score raw rows: build their features, then as `score_features`.

        Parameters
        ----------
        rows : DataFrame
            The columns of `request_columns`.
        references : mapping of str to Indexed or DataFrame
            Reference tables the features join.
        """
        return self.score_made(self.make_features(rows, references))

    def make_features(
        self,
        rows: pd.DataFrame,
        references: References,
        unjoined: dict[str, npt.NDArray[np.intp]] | None = None,
    ) -> Any:
        """Make the features of raw rows, as `include.modelling.features.feature_arrays` does.

        Returns
        -------
        dict of str to array, or DataFrame
            What scores takes them so.
        """
        from include.modelling.features import feature_arrays

        arrays = feature_arrays(rows, references, self.use_case, self.python, unjoined)
        return arrays if self.onnx is not None else pd.DataFrame(arrays, rows.index, copy=False)

    def score_made(self, features: Any) -> Floats:
        """Score what `make_features` made."""
        return score_known(self.onnx or self.estimator, features, self.use_case)

    def score_features(self, X: pd.DataFrame) -> Floats:
        """Score features, as `include.modelling.scoring.score_rows` does."""
        return score_rows(self.onnx or self.estimator, X, self.use_case)

    def predict(self, rows: pd.DataFrame, references: References) -> pd.DataFrame:
        """Predict raw rows, as `score` scores them; returns what `predict_features` does."""
        return predictions(self.score(rows, references), self.use_case, rows.index)

    def predict_features(self, X: pd.DataFrame) -> pd.DataFrame:
        """Predict from features.

        Returns
        -------
        DataFrame
            Index of `X`; columns as `include.modelling.scoring.predictions` makes them.
        """
        return predictions(self.score_features(X), self.use_case, X.index)


def write_package(
    folder: Path,
    *,
    estimator: Any,
    use_case: UseCase,
    python: OwnPython,
    example: Mapping[str, Any],
    reference: pd.DataFrame,
    facts: Mapping[str, Any],
    run_id: str,
    signing_key: Path,
    request_rows: pd.DataFrame | Iterable[pd.DataFrame] | None = None,
    sample: Sample | None = None,
) -> str:
    """Write a signed package into `folder`, which must not exist or be empty.

    Parameters
    ----------
    folder : Path
        Where to.
    estimator : fitted Pipeline
        What `include.modelling.estimators.make` made.
    use_case : UseCase
        Snapshotted as YAML.
    python : OwnPython
        The use case's own: answers are made with this copy of it.
    example : mapping
        One request row, JSON values.
    reference : DataFrame
        What `reference_of` made.
    facts : mapping
        Metrics and lineage, JSON values.
    run_id : str
        The MLflow training run; signed along, so an older package cannot stand in for this one.
    signing_key : Path
        Ed25519 private key.
    request_rows : DataFrame or iterable of DataFrame, optional
        Clean rows of the training partitions, at least the columns ``features.inputs``: serving
        learns from them what a request usually holds. Without them only declared rules apply.
    sample : Sample, optional
        Rows on which is tried whether each is scored for itself. Without it nothing is tried, and
        serving scores each request alone.

    Returns
    -------
    str
        SHA-256 of the manifest.
    """
    candidate = str(facts.get("candidate", ""))
    own_types = types_of(python, candidate)
    _save_model(folder, estimator, use_case, candidate, trusted_types(python, own_types))
    own = folder / "flywheel"
    own.mkdir()
    (own / "use_case.yaml").write_text(dump(use_case), encoding="utf-8")
    python.write(own / "python")
    request = {name: use_case.ingest.columns[name] for name in use_case.features.inputs}
    _write_json(own / "request_schema.json", request)
    seen = {} if request_rows is None else seen_in(request_rows, use_case)
    if seen:
        _write_json(own / "request_seen.json", to_json(seen))
    graph, parity = convert(estimator, use_case, reference)
    if graph is not None:
        (own / GRAPH).write_bytes(graph)
    _write_json(own / "runtime.json", parity.as_json())
    rows_apart = None
    if sample is not None:
        tried = sample.with_rare_rows(use_case, seen)
        rows_apart = scores_rows_alone(estimator, use_case, python, tried)
    _write_json(own / "example.json", dict(example))
    _write_json(own / "facts.json", {**facts, "numerical_libraries": numerical_libraries()})
    reference.to_parquet(own / "reference.parquet", index=False)
    return manifest.seal(
        folder,
        signing_key,
        use_case=use_case.name,
        run_id=run_id,
        own_types=own_types,
        rows_apart=rows_apart,
    )


def reference_of(estimator: Any, holdout_X: pd.DataFrame, use_case: UseCase) -> pd.DataFrame:
    """Sample the reference that monitoring compares with: rows, and what is predicted for them.

    Parameters
    ----------
    estimator : fitted Pipeline
        Must not have learned the rows: its predictions would be too sure.
    holdout_X : DataFrame
        Features; at most ``monitor.sample_rows`` rows are drawn of them, with a fixed seed.
    use_case : UseCase
        Says the task and the columns.
    """
    rows = min(use_case.monitor.sample_rows, len(holdout_X))
    sampled = holdout_X[use_case.features.columns].sample(rows, random_state=0)
    scores = score_rows(estimator, sampled, use_case)
    return sampled.assign(prediction=monitored(scores, use_case))


def verify_package(folder: Path, verify_key: Path) -> dict[str, Any]:
    """Check signature and files and return the manifest; see `include.registry.manifest.check`."""
    return manifest.check(folder, verify_key)


def load_package(folder: Path, verify_key: Path, version: str = "") -> ServableModel:
    """Verify a package, then load it.

    Raises
    ------
    DataContractError
        If the package is not exactly what was signed, or its model holds types we do not trust.
    ConfigError
        If the verifying key cannot be read.
    """
    about = verify_package(folder, verify_key)
    own = folder / "flywheel"
    python = python_in(own / "python", about["use_case"])
    estimator = _read_model(folder, trusted_types(python, about.get("own_types", [])))
    seen = own / "request_seen.json"
    snapshot = (own / "use_case.yaml").read_text(encoding="utf-8")
    return ServableModel(
        use_case=load_text(snapshot, about["use_case"], f"{own}/use_case.yaml", python=python),
        version=version,
        estimator=estimator,
        request_columns=json.loads((own / "request_schema.json").read_text()),
        example=json.loads((own / "example.json").read_text()),
        reference=pd.read_parquet(own / "reference.parquet"),
        facts=json.loads((own / "facts.json").read_text()),
        python=python,
        request_seen=from_json(json.loads(seen.read_text()) if seen.exists() else {}),
        rows_apart=about.get("rows_apart"),
        **_runtime(own, estimator),
    )


def _runtime(own: Path, estimator: Any) -> dict[str, Any]:
    about = own / "runtime.json"
    if not about.exists():  # a package of before there was a choice
        return {}
    graph = own / GRAPH
    return {
        "parity": json.loads(about.read_text()),
        "onnx": OnnxPipeline(estimator, graph.read_bytes()) if graph.exists() else None,
    }


def _read_model(folder: Path, trusted: list[str]) -> Any:
    try:
        return skops.io.load(folder / MODEL_FILE, trusted=trusted)
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise DataContractError(
            f"model package {folder}: {MODEL_FILE} may hold only the types of "
            f"include/registry/trusted.py and those that its signed {manifest.MANIFEST} names of "
            f"the use case's own Python, got: {error}. Train again with this version of the code."
        ) from error
    except zipfile.BadZipFile as error:
        raise DataContractError(
            f"model package {folder}: {MODEL_FILE} must be a skops file, got: {error}. Train again."
        ) from error


def _save_model(
    folder: Path, estimator: Any, use_case: UseCase, candidate: str, trusted: list[str]
) -> None:
    import mlflow.sklearn  # seconds: serving reads packages and never needs it
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    inputs = [ColSpec("double", name) for name in use_case.features.numeric]
    inputs += [ColSpec("string", name) for name in use_case.features.categorical]
    packages = ALGORITHMS[candidate].packages if candidate in ALGORITHMS else ()
    answer = ColSpec("double" if use_case.task == "regression" else "long")
    mlflow.sklearn.save_model(
        estimator,
        folder,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=trusted,
        # Named, or MLflow loads the model in a new process to find them out: 7 to 10 s.
        pip_requirements=list(pinned_requirements(also=packages)),
        signature=ModelSignature(inputs=Schema(inputs), outputs=Schema([answer])),
    )


@cache
def pinned_requirements(lock: Path = _LOCK, also: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the lock's pins of the packages that the model needs, such as ``'skops==0.16.0'``.

    `also` are packages that its algorithm needs beyond those that every model needs.

    Raises
    ------
    ConfigError
        If the lock is not there or lacks one of them.
    """
    try:
        lines = lock.read_text().splitlines()
    except OSError as error:
        raise ConfigError(
            f"{lock}: a model package pins what the lock pins, got: {error}. Run `make lock`."
        ) from error
    pinned = [line.rstrip(" \\") for line in lines if "==" in line and line[0].isalnum()]
    parsed, needed = [Requirement(line) for line in pinned], (*NEEDED, *also)
    pins = {
        pin.name: f"{pin.name}{pin.specifier}"
        for pin in parsed
        if pin.name in needed and (pin.marker is None or pin.marker.evaluate())
    }
    if missing := [name for name in needed if name not in pins]:
        raise ConfigError(f"{lock}: must pin {list(needed)}, lacks {missing}. Run `make lock`.")
    return tuple(pins[name] for name in needed)


def _write_json(path: Path, content: object) -> None:
    # NaN is not JSON: who reads the package in another language could not parse it.
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")
