"""Champions to measure serving with: made of real flights in this process, without a stack.

`flight_delays` is served as it stands in the repository, with its references and its `derive`.
`flights_plain` is the same without `derive`: its features are columns of the request and of the
references.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from benchmarks.house import variables
from include.lake.frames import to_pandas
from include.lake.table import Lake, Writer
from include.use_cases.loader import ROOT, get, python_of
from scripts.land_flights import land_outcomes, land_rows

DERIVED, PLAIN = "flight_delays", "flights_plain"
MONTHS = ("2013-01", "2013-02")
ESTIMATOR = "hist_gradient_boosting"


@dataclass(frozen=True)
class World:
    """What a serving process needs, and the folders of the packages.

    Attributes
    ----------
    environment : dict of str to str
        For the server.
    packages : dict of str to Path
        By use case.
    """

    folder: Path
    environment: dict[str, str]
    packages: dict[str, Path]

    @property
    def lake(self) -> Lake:
        """Where clean rows and references are."""
        return Lake(str(self.folder / "home" / "lake"))

    def requests(self, name: str, count: int) -> list[dict[str, Any]]:
        """Return request rows of the last month, as JSON values."""
        inputs = get(name).features.inputs
        rows = self.lake.table(name, "clean").read([MONTHS[-1]], inputs).slice(0, count).to_pylist()
        return [{key: _in_json(value) for key, value in row.items()} for row in rows]

    def features(self, name: str, count: int) -> pd.DataFrame:
        """Return the features of the same rows: what MLflow's own server is sent."""
        columns = get(name).features.columns
        table = self.lake.table(name, "features").read([MONTHS[-1]], columns)
        return to_pandas(table.slice(0, count))


@contextmanager
def flights(folder: Path, names: Sequence[str] = (DERIVED, PLAIN)) -> Iterator[World]:
    """Train, register and promote these use cases below `folder`."""
    _write_use_cases(folder / "use_cases")
    changes = {
        "FLYWHEEL_HOME": str(folder / "home"),
        "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
        "FLYWHEEL_VERIFY_KEY": str(folder / "keys" / "verify.pem"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
    }
    with variables(changes):
        for month in MONTHS:
            land_rows(folder / "landing", month)
            land_outcomes(folder / "landing", month)
        packages = {name: _promoted(name, folder) for name in names}
        yield World(folder, changes, packages)


def _write_use_cases(folder: Path) -> None:
    for name in (DERIVED, PLAIN):
        shutil.copytree(ROOT / DERIVED, folder / name)
    yaml = YAML()
    path = folder / PLAIN / "use_case.yaml"
    content = yaml.load(path)
    features = content["features"]
    for made in ("arrival_minute_of_day", "plane_age_years"):
        features["numeric"].remove(made)
    features["categorical"].remove("day_of_week")
    yaml.dump(content, path)
    (folder / PLAIN / "features.py").unlink()


def _writer() -> Writer:
    return Writer("bench", 1, time.time_ns() // 1_000_000, "bench")


def _promoted(name: str, folder: Path) -> Path:
    from include.modelling.estimators import defaults, make
    from include.modelling.training_set import load_training_set, wide
    from include.registry.client import Registry
    from include.registry.ledger import Ledger
    from include.registry.package import reference_of, write_package
    from include.registry.packing import example_row, request_rows, sample_of
    from include.registry.signing import ensure_keys

    use_case, lake = get(name), Lake(str(folder / "home" / "lake"))
    _fill(use_case, lake, str(folder / "landing"))
    rows = load_training_set(use_case, lake, MONTHS[-1])
    space = next(each for each in use_case.train.candidates if each.estimator == ESTIMATOR)
    model = make(use_case, ESTIMATOR, defaults(space)).fit(wide(rows.train_X), rows.train_y)
    keys = folder / "keys"
    ensure_keys(keys / "signing.pem", keys / "verify.pem")
    registry = Registry(
        f"sqlite:///{folder}/mlflow.db",
        signing_key=keys / "signing.pem",
        verify_key=keys / "verify.pem",
    )
    registry.client.create_experiment(name, artifact_location=str(folder / "artifacts"))
    run_id = registry.run(name, "bench", "train", {})
    facts = {
        "candidate": ESTIMATOR,
        "run_id": run_id,
        "as_of": MONTHS[-1],
        "code_version": "bench",
        "known_up_to": MONTHS[-1],
    }
    package = folder / "packages" / name
    package.parent.mkdir(exist_ok=True)
    sha256 = write_package(
        package,
        estimator=model,
        use_case=use_case,
        python=python_of(use_case),
        example=example_row(use_case, MONTHS[-1], lake),
        reference=reference_of(model, wide(rows.holdout_X), use_case),
        facts=facts,
        run_id=run_id,
        signing_key=keys / "signing.pem",
        request_rows=request_rows(use_case, rows.learned_from, lake),
        sample=sample_of(use_case, MONTHS[-1], lake),
    )
    version = registry.register(name, run_id, package, {})
    Ledger(lake, name, registry.verify_key).promote(
        version=version,
        instead_of=None,
        facts={"as_of": MONTHS[-1], "known_up_to": MONTHS[-1], "package_sha256": sha256},
        who="bench",
        why="to be measured",
        evidence={},
        run_id="promotes it",
        signing_key=registry.signing_key,
    )
    return package


def _fill(use_case: Any, lake: Lake, landing_uri: str) -> None:
    from include.due.stages import ALL
    from include.feature.build import build_partition
    from include.ingest_label.ingest import ingest_labels, ingest_reference, ingest_rows
    from include.ingest_label.landing import Landing
    from include.validate_clean.validate import validate_and_clean

    landing = Landing(landing_uri)
    ingest_reference(use_case, "planes", ALL, landing, lake, _writer())
    for month in MONTHS:
        ingest_rows(use_case, month, landing, lake, _writer())
        ingest_labels(use_case, month, landing, lake, _writer())
        ingest_reference(use_case, "weather", month, landing, lake, _writer())
        validate_and_clean(use_case, month, lake, _writer())
        build_partition(use_case, month, lake, _writer())


def _in_json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
