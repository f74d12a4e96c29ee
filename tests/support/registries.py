"""A registry in a SQLite file, for tests that need MLflow and no server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from include.lake.table import Lake
from include.registry.client import Registry
from include.registry.ledger import Ledger, Promotion
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


def ledger_of(registry: Registry, lake: Lake, use_case: str = "tiny") -> Ledger:
    """Return the promotion ledger in a lake, read with the registry's key."""
    return Ledger(lake, use_case, registry.verify_key)


def make_champion(
    registry: Registry, lake: Lake, version: str, use_case: str = "tiny"
) -> Promotion:
    """Make a version champion as the phase deploy does: in the ledger, and the aliases follow."""
    ledger = ledger_of(registry, lake, use_case)
    current = ledger.current()
    promotion = ledger.promote(
        version=version,
        instead_of=current.version if current else None,
        facts=registry.details(use_case, version)["tags"],
        who="a test",
        why="better",
        evidence={},
        run_id=f"deploy {version}",
        signing_key=registry.signing_key,
    )
    registry.follow(use_case, promotion)
    return promotion
