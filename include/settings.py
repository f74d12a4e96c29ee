"""Where things are, read from the environment: what differs between two deployments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.errors import ConfigError

REPO = Path(__file__).resolve().parent.parent

LANDING_POLL_S = 0.5  # a look at a folder takes about a millisecond

# An outage of the store should reach the operator, whose retries Airflow shows, and not hide for
# the three minutes that the store's client would go on by default.
_PATIENCE = {"max_retries": "5", "retry_timeout": "30s"}
_S3_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
)


@dataclass(frozen=True)
class Settings:
    """Where things are.

    Attributes
    ----------
    home : Path
        Folder of everything local (`FLYWHEEL_HOME`, default `<repository>/.flywheel`).
    landing_uri : str
        Where files land: a folder or `s3://` (`FLYWHEEL_LANDING_URI`).
    lake_uri : str
        Where the tables are: a folder or `s3://` (`FLYWHEEL_LAKE_URI`).
    tracking_uri : str
        MLflow's server (`MLFLOW_TRACKING_URI`, or a local one at `FLYWHEEL_MLFLOW_PORT`).
    serving_url : str
        The prediction service (`FLYWHEEL_SERVING_URL`, or a local one at `FLYWHEEL_SERVING_PORT`).
    optuna_storage : str
        SQLAlchemy address of the tuning studies (`FLYWHEEL_OPTUNA_STORAGE`).
    signing_key, verify_key : Path
        Ed25519 keys of model packages and promotions, PEM (`FLYWHEEL_SIGNING_KEY`,
        `FLYWHEEL_VERIFY_KEY`).
    landing_poll_s : float
        Seconds between two looks at the landing, from 0.1 to 3600 (`FLYWHEEL_LANDING_POLL_S`).
    """

    home: Path
    landing_uri: str
    lake_uri: str
    tracking_uri: str
    serving_url: str
    optuna_storage: str
    signing_key: Path
    verify_key: Path
    landing_poll_s: float = LANDING_POLL_S
    # Holds secrets: it must not turn up in a log through repr().
    s3_environment: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; a variable that is set but empty counts as not set.

        Parameters
        ----------
        env : mapping of str to str, optional
            Default: the environment of this process, as it is now.
        """
        given = {
            name: value for name, value in (os.environ if env is None else env).items() if value
        }
        home = Path(given.get("FLYWHEEL_HOME", REPO / ".flywheel")).expanduser().resolve()
        local = "http://127.0.0.1:"
        return cls(
            home=home,
            landing_uri=given.get("FLYWHEEL_LANDING_URI", str(home / "landing")),
            lake_uri=given.get("FLYWHEEL_LAKE_URI", str(home / "lake")),
            tracking_uri=given.get(
                "MLFLOW_TRACKING_URI", f"{local}{_port(given, 'FLYWHEEL_MLFLOW_PORT', 5000)}"
            ),
            serving_url=given.get(
                "FLYWHEEL_SERVING_URL", f"{local}{_port(given, 'FLYWHEEL_SERVING_PORT', 8000)}"
            ),
            optuna_storage=given.get("FLYWHEEL_OPTUNA_STORAGE", f"sqlite:///{home / 'optuna.db'}"),
            signing_key=Path(given.get("FLYWHEEL_SIGNING_KEY", home / "keys" / "signing.pem")),
            verify_key=Path(given.get("FLYWHEEL_VERIFY_KEY", home / "keys" / "verify.pem")),
            landing_poll_s=_seconds(given, "FLYWHEEL_LANDING_POLL_S", LANDING_POLL_S, 0.1, 3600.0),
            s3_environment={name: given[name] for name in _S3_VARIABLES if name in given},
        )

    def storage_options(self) -> dict[str, str]:
        """Options for S3, from the `AWS_` variables; empty when lake and landing are folders."""
        if not any(uri.startswith("s3://") for uri in (self.lake_uri, self.landing_uri)):
            return {}
        return {**_PATIENCE, **self.s3_environment}


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ConfigError(
            f"environment variable {name}: must be a port from 1 to 65535, got {text!r}. "
            f"Correct it, or unset it for {default}."
        )
    return int(text)


def _seconds(
    given: Mapping[str, str], name: str, default: float, lowest: float, highest: float
) -> float:
    text = given.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:  # NaN is not between them either
        raise ConfigError(
            f"environment variable {name}: must be a number of seconds from {lowest:g} to "
            f"{highest:g}, got {text!r}. Correct it, or unset it for {default:g}."
        )
    return value
