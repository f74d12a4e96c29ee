"""Keep MLflow's artifacts in the server's own store.

MLflow lets whoever creates an experiment choose where its artifacts are written, and accepts
`file:///any/folder`. The server then writes uploads there with its own rights: into the folder of
Dag files, for example, which Airflow executes. A login does not prevent that. So two checks:
an experiment cannot be created with a location of its own, and the server opens no location
outside its store, wherever that location came from.
"""

from __future__ import annotations

import posixpath
from functools import partial, wraps
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.file_utils import local_file_uri_to_path

PROXIED = "mlflow-artifacts:/"
_RESOLVED_AGAIN = ("runs", "models")  # these look up a location, which is then opened by its scheme


def confine(destination: str) -> None:
    """Apply both checks to the MLflow server of this process.

    Parameters
    ----------
    destination : str
        The server's artifact store: a folder or an address such as `s3://bucket/mlflow`.
    """
    repositories = get_registered_artifact_repositories()
    for scheme, repository in list(repositories.items()):
        if scheme not in _RESOLVED_AGAIN:
            repositories[scheme] = partial(_open, repository, destination)
    SqlAlchemyStore.create_experiment = _without_foreign_location(SqlAlchemyStore.create_experiment)


def is_inside(uri: str, destination: str) -> bool:
    """Return whether a location is the destination or beneath it.

    Links and `..` are resolved first for folders; an object store's address may hold no `..`.

    Examples
    --------
    >>> is_inside("s3://bucket/mlflow/1/run", "s3://bucket/mlflow")
    True
    >>> is_inside("s3://bucket/mlflow-other", "s3://bucket/mlflow")
    False
    >>> is_inside("file:///srv/mlflow/../dags", "/srv/mlflow")
    False
    """
    ours, theirs = urlsplit(destination), urlsplit(uri)
    if ours.scheme in ("", "file"):
        if theirs.scheme not in ("", "file") or theirs.netloc or theirs.query:
            return False
        folder = Path(local_file_uri_to_path(destination)).resolve()
        return Path(local_file_uri_to_path(uri)).resolve().is_relative_to(folder)
    if (theirs.scheme, theirs.netloc) != (ours.scheme, ours.netloc) or theirs.query:
        return False
    path, root = unquote(theirs.path), ours.path.rstrip("/")
    return posixpath.normpath(path or "/") == (path.rstrip("/") or "/") and (
        path.rstrip("/") == root or path.startswith(f"{root}/")
    )


def _open(repository: Any, destination: str, artifact_uri: str, **kwargs: Any) -> Any:
    if not is_inside(artifact_uri, destination):
        raise MlflowException.invalid_parameter_value(
            f"Artifacts must be in this server's store, got a location outside it: "
            f"{artifact_uri[:200]!r}. Create the experiment again without an artifact location."
        )
    return repository(artifact_uri, **kwargs)


def _without_foreign_location(create: Any) -> Any:
    @wraps(create)
    def create_experiment(
        self: Any, name: str, artifact_location: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        if artifact_location and not _is_proxied(artifact_location):
            raise MlflowException.invalid_parameter_value(
                f"An experiment's artifact location must be empty or begin with {PROXIED!r}, got "
                f"{artifact_location[:200]!r}. Leave it out: artifacts go to this server's store."
            )
        return create(self, name, artifact_location, *args, **kwargs)

    return create_experiment


def _is_proxied(location: str) -> bool:
    parts = urlsplit(location)
    # A host, even an empty one behind '//', would send the upload to another server.
    plain = location.startswith(PROXIED) and not location.startswith(f"{PROXIED}/")
    return plain and not parts.query and ".." not in unquote(parts.path).split("/")
