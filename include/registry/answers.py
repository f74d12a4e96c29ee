"""What MLflow's failures mean to us: which are worth a retry, and what to say about them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from include.errors import ServiceUnavailable, SettingsError

# MLflow retries a dead server for over 80 s and gives each request 120 s; Airflow's own retries,
# and serving's next look in two seconds, do better. An explicit variable takes precedence.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException

# MLflow's error codes (mlflow/protos/databricks.proto). An answer that is not MLflow's JSON, such
# as a gateway's 502, has INTERNAL_ERROR.
_UNAVAILABLE = frozenset(
    {
        "INTERNAL_ERROR",
        "TEMPORARILY_UNAVAILABLE",
        "WORKSPACE_TEMPORARILY_UNAVAILABLE",
        "SERVICE_UNDER_MAINTENANCE",
        "REQUEST_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "DEADLINE_EXCEEDED",
        "COULD_NOT_ACQUIRE_LOCK",
        "IO_ERROR",
        "UNPARSEABLE_HTTP_ERROR",
    }
)
_NOT_ALLOWED = frozenset({"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED"})
_NOT_MLFLOW = frozenset({"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"})


def is_missing(error: MlflowException) -> bool:
    """Return whether MLflow says that there is no such thing."""
    return bool(error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"))


def is_duplicate(error: MlflowException) -> bool:
    """Return whether MLflow says that there is such a thing already."""
    return bool(error.error_code == "RESOURCE_ALREADY_EXISTS")


def check_named(answered: str, asked: str, uri: str) -> None:
    """Refuse an answer that is not about what was asked for.

    MLflow's client reads an empty answer, such as one that was cut off, as a thing without a name:
    a model without aliases, or an experiment without runs.

    Raises
    ------
    ServiceUnavailable
        If the names differ.
    """
    if answered != asked:
        raise ServiceUnavailable(
            f"MLflow at {uri}: an answer about {asked!r} must name it, got {answered!r}. "
            "Check that the address is MLflow's, and what stands between."
        )


class Translated:
    """A client whose methods raise `ServiceUnavailable` where MLflow does not answer.

    A login that is refused, and an address where another server answers, are a `SettingsError`: no
    retry helps, and neither means that there is no model. Everything else that MLflow refuses is
    raised as it comes.

    Parameters
    ----------
    client : MlflowClient
        What is asked.
    uri : str
        Its address, for the message.
    """

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        return self._translated(getattr(self._client, name))

    def _translated(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def ask(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except (MlflowException, RequestException, ConnectionError) as error:
                code = getattr(error, "error_code", "INTERNAL_ERROR")
                if code in _NOT_ALLOWED | _NOT_MLFLOW:
                    raise SettingsError(
                        f"MLflow at {self._uri}: must allow {method.__name__}, got {code}. Correct "
                        "the login or the address of the Airflow connection flywheel_mlflow, or "
                        "MLFLOW_TRACKING_USERNAME, _PASSWORD and _URI."
                    ) from error
                if code not in _UNAVAILABLE:
                    raise
                # A page that is not MLflow's is long, and may repeat the request with its login.
                words = str(error).partition(". Response body:")[0]
                raise ServiceUnavailable(
                    f"MLflow at {self._uri} must answer {method.__name__}, got: {words}. "
                    "Start it (`make up`), or set MLFLOW_TRACKING_URI to where it runs."
                ) from error

        return ask
