"""Experiments and runs: what MLflow tracks of everything that is tried."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException

from include.errors import ConfigError
from include.registry.answers import Translated, check_named, is_duplicate


class Runs:
    """Experiments and runs at one MLflow address.

    Parameters
    ----------
    tracking_uri : str
        ``http://...`` or ``sqlite:///...``, without a login: addresses stand in messages.
    login : tuple of str, optional
        User and password; by default MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.

    Raises
    ------
    ConfigError
        If the address holds a password.
    """

    def __init__(self, tracking_uri: str, login: tuple[str, str] | None = None) -> None:
        from mlflow import MlflowClient

        parts = urlsplit(tracking_uri)
        if parts.scheme in ("http", "https") and "@" in parts.netloc:
            raise ConfigError(
                f"MLflow's address at {parts.hostname}: must not hold a login, because addresses "
                "stand in messages. Give it in MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or in the Airflow connection's login and password."
            )
        if login is not None:
            # MLflow's client knows no other way to be given a login.
            names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
            os.environ.update(zip(names, login, strict=True))
        self.tracking_uri = tracking_uri
        self.client: Any = Translated(
            MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri), tracking_uri
        )

    def experiment(self, use_case_name: str) -> str:
        """Return the id of the use case's experiment; it is made if missing."""
        found = self.client.get_experiment_by_name(use_case_name)
        if found is None:
            try:
                return str(self.client.create_experiment(use_case_name))
            except MlflowException as error:
                if not is_duplicate(error):  # another process was faster
                    raise
                found = self.client.get_experiment_by_name(use_case_name)
        check_named(found.name, use_case_name, self.tracking_uri)
        return str(found.experiment_id)

    def run(self, use_case_name: str, request: str, name: str, tags: Mapping[str, str]) -> str:
        """Return the id of the run made for `request`; it is made if missing.

        Parameters
        ----------
        use_case_name : str
            Names the experiment.
        request : str
            What the run is for, unique in the experiment: the same request finds the same run
            again.
        name : str
            The run's name in the UI.
        tags : mapping of str to str
            Set when the run is made; ``mlflow.parentRunId`` nests it.
        """
        if (known := self.find_run(use_case_name, request)) is not None:
            return known
        own = {"flywheel.use_case": use_case_name, "flywheel.request": request}
        experiment = self.experiment(use_case_name)
        made = self.client.create_run(experiment, run_name=name, tags={**tags, **own})
        return str(made.info.run_id)

    def find_run(self, use_case_name: str, request: str) -> str | None:
        """Return the id of the run made for `request`, None if there is none."""
        if "'" in request:
            raise ConfigError(f"a run's request must hold no quote, got {request!r}. Leave it out.")
        experiment = self.experiment(use_case_name)
        found = self.client.search_runs([experiment], f"tags.`flywheel.request` = '{request}'")
        return str(found[-1].info.run_id) if found else None

    def trainings(self, use_case_name: str) -> dict[str, str]:
        """Return how the newest training as of each partition stands: MLflow's run status.

        Such as `RUNNING`, `FINISHED` or `FAILED`; a partition without a training is not there.
        """
        found = self.client.search_runs(
            [self.experiment(use_case_name)],
            "tags.`flywheel.training` = 'yes'",
            max_results=1000,
            order_by=["attributes.start_time DESC"],
        )
        oldest_first = reversed(list(found))  # the newest of a partition replaces the others
        return {run.data.tags["flywheel.as_of"]: str(run.info.status) for run in oldest_first}

    def has_learned(self, use_case_name: str, training_set: str) -> bool:
        """Whether a finished training learned from this training set, whatever its configuration.

        A training's name begins with its training set; see `include.train_tune.request`.
        """
        found = self.client.search_runs(
            [self.experiment(use_case_name)],
            f"tags.`flywheel.training_name` LIKE '{training_set}-%' AND status = 'FINISHED'",
            max_results=1,
        )
        return bool(found)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """Log to a run, all in one request."""
        from mlflow.entities import Metric, Param, RunTag

        now_ms = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, now_ms, 0) for key, value in (metrics or {}).items()],
            params=[Param(key, str(value)) for key, value in (params or {}).items()],
            tags=[RunTag(key, str(value)) for key, value in (tags or {}).items()],
        )
