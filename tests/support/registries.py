"""A registry in a SQLite file, for tests that need MLflow and no server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from include.registry.client import Registry
from include.registry.signing import ensure_keys


@cache
def _empty_database() -> Path:
    """Migrate an empty database once a session: it takes 3 s, a copy takes none."""
    path = Path(tempfile.mkdtemp(prefix="flywheel-tests-")) / "mlflow.db"
    Registry(f"sqlite:///{path}").version_of("none", "champion")
    return path


def local_registry(where: Path, use_cases: Sequence[str] = ("tiny",)) -> Registry:
    """Return a registry in `where`, with keys in `where/keys`, packages in `where/cache`.

    The experiments of `use_cases` are made, with their artifacts under `where` too: MLflow would
    otherwise put them into the current folder.
    """
    where.mkdir(parents=True, exist_ok=True)
    shutil.copy(_empty_database(), where / "mlflow.db")
    keys = where / "keys"
    ensure_keys(keys / "signing.pem", keys / "verify.pem")
    registry = Registry(
        f"sqlite:///{where}/mlflow.db",
        signing_key=keys / "signing.pem",
        verify_key=keys / "verify.pem",
        cache=where / "cache",
    )
    for name in use_cases:
        registry.client.create_experiment(name, artifact_location=str(where / "artifacts" / name))
    return registry
