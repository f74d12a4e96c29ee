"""A model package: an MLflow model folder, what serving needs beside it, and a signature over all.

::

    MLmodel, model.skops, requirements.txt, ...   MLflow's scikit-learn flavour, in the skops format
    flywheel/use_case.yaml        the use case as it was trained
    flywheel/python/*.py          the use case's own Python, as it was
    flywheel/request_schema.json  columns a request carries, and their types
    flywheel/request_seen.json    what training saw of these columns; absent when not given
    flywheel/example.json         one request row
    flywheel/reference.parquet    holdout features, predicted by a model that has not learned them
    flywheel/facts.json           metrics, lineage, and the environment: machine, libraries
    manifest.json, manifest.sig   SHA-256 of every other file, signed

An answer needs nothing else but the reference tables: no file of the working tree is read, and two
versions answer side by side in one process. Where the lock, the family of CPUs, the threads and the
references are the same, answers are equal bit for bit; elsewhere they agree within 1e-6.

Loading verifies first, then reads the model with skops and our own list of trusted types.
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
import pandas as pd
import skops.io
from packaging.requirements import Requirement

from include.errors import ConfigError, DataContractError
from include.modelling.scoring import predictions, score_rows
from include.provenance import numerical_libraries
from include.registry import manifest
from include.registry.request_rules import Rule, Seen, from_json, rules_of, seen_in, to_json
from include.registry.trusted import TRUSTED_TYPES
from include.use_cases.loader import dump, load_text
from include.use_cases.python_package import OwnPython, python_in
from include.use_cases.python_source import PACKAGES
from include.use_cases.schema import Columns, UseCase

if TYPE_CHECKING:
    from include.modelling.features import References

MODEL_FILE = "model.skops"  # MLflow's name for it
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
        Holdout features and the column `prediction`, made by a model that has not learned them.
    facts : dict
        Metrics and lineage. `evaluated_version` is there in a refit only: the version that the
        metrics, and the predictions of `reference`, are of.
    python : OwnPython
        The use case's own, as it was when the model was trained.
    request_seen : dict of str to Seen
        What training saw of the request columns; empty in a package written without training rows.
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

    @cached_property
    def request_rules(self) -> dict[str, Rule]:
        """What the columns of a request may hold."""
        return rules_of(self.use_case, self.request_columns, self.request_seen)

    def predict(self, rows: pd.DataFrame, references: References) -> pd.DataFrame:
        """Predict raw rows: build their features, then as `predict_features`.

        Parameters
        ----------
        rows : DataFrame
            The columns of `request_columns`.
        references : mapping of str to Indexed or DataFrame
            Reference tables the features join.
        """
        from include.modelling.features import build_features

        return self.predict_features(build_features(rows, references, self.use_case, self.python))

    def predict_features(self, X: pd.DataFrame) -> pd.DataFrame:
        """Predict from features.

        Returns
        -------
        DataFrame
            Index of `X`. `prediction`: class 0 or 1 (int64), value (float64) or cluster (int64);
            for classification also `score`, the probability of class 1.
        """
        return predictions(score_rows(self.estimator, X, self.use_case), self.use_case, X.index)


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

    Returns
    -------
    str
        SHA-256 of the manifest.
    """
    _save_model(folder, estimator, use_case)
    own = folder / "flywheel"
    own.mkdir()
    (own / "use_case.yaml").write_text(dump(use_case), encoding="utf-8")
    python.write(own / "python")
    request = {name: use_case.ingest.columns[name] for name in use_case.features.inputs}
    _write_json(own / "request_schema.json", request)
    if request_rows is not None:
        _write_json(own / "request_seen.json", to_json(seen_in(request_rows, use_case)))
    _write_json(own / "example.json", dict(example))
    _write_json(own / "facts.json", {**facts, "numerical_libraries": numerical_libraries()})
    reference.to_parquet(own / "reference.parquet", index=False)
    return manifest.seal(folder, signing_key, use_case=use_case.name, run_id=run_id)


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
    return sampled.assign(prediction=score_rows(estimator, sampled, use_case))


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
    estimator = _read_model(folder)
    own = folder / "flywheel"
    seen = own / "request_seen.json"
    snapshot = (own / "use_case.yaml").read_text(encoding="utf-8")
    return ServableModel(
        use_case=load_text(snapshot, about["use_case"], f"{own}/use_case.yaml"),
        version=version,
        estimator=estimator,
        request_columns=json.loads((own / "request_schema.json").read_text()),
        example=json.loads((own / "example.json").read_text()),
        reference=pd.read_parquet(own / "reference.parquet"),
        facts=json.loads((own / "facts.json").read_text()),
        python=python_in(own / "python", about["use_case"]),
        request_seen=from_json(json.loads(seen.read_text()) if seen.exists() else {}),
    )


def _read_model(folder: Path) -> Any:
    try:
        return skops.io.load(folder / MODEL_FILE, trusted=list(TRUSTED_TYPES))
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise DataContractError(
            f"model package {folder}: {MODEL_FILE} may hold only the types of "
            f"include/registry/trusted.py, got: {error}. Train again with this version of the code."
        ) from error
    except zipfile.BadZipFile as error:
        raise DataContractError(
            f"model package {folder}: {MODEL_FILE} must be a skops file, got: {error}. Train again."
        ) from error


def _save_model(folder: Path, estimator: Any, use_case: UseCase) -> None:
    import mlflow.sklearn  # seconds: serving reads packages and never needs it
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    inputs = [ColSpec("double", name) for name in use_case.features.numeric]
    inputs += [ColSpec("string", name) for name in use_case.features.categorical]
    answer = ColSpec("double" if use_case.task == "regression" else "long")
    mlflow.sklearn.save_model(
        estimator,
        folder,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=list(TRUSTED_TYPES),
        # Named, or MLflow loads the model in a new process to find them out: 7 to 10 s.
        pip_requirements=list(pinned_requirements()),
        signature=ModelSignature(inputs=Schema(inputs), outputs=Schema([answer])),
    )


@cache
def pinned_requirements(lock: Path = _LOCK) -> tuple[str, ...]:
    """Return the lock's pins of the packages that the model needs, such as ``'skops==0.16.0'``.

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
    parsed = [Requirement(line) for line in pinned]
    pins = {
        pin.name: f"{pin.name}{pin.specifier}"
        for pin in parsed
        if pin.name in NEEDED and (pin.marker is None or pin.marker.evaluate())
    }
    if missing := [name for name in NEEDED if name not in pins]:
        raise ConfigError(f"{lock}: must pin {list(NEEDED)}, lacks {missing}. Run `make lock`.")
    return tuple(pins[name] for name in NEEDED)


def _write_json(path: Path, content: object) -> None:
    # NaN is not JSON: who reads the package in another language could not parse it.
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")
