"""Operators of the phase train and tune."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.errors import DataContractError
from plugins.links import MlflowRunLink
from plugins.operators.base import (
    PARTITION_KEY,
    PhaseOperator,
    asked_by_a_person,
    errors_for_airflow,
    facts_of,
    unknown,
)

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

RUN_ID = "run_id"
"""XCom key: the MLflow run of the training, which holds what every later task needs."""


def kept_in(operator: PhaseOperator) -> Path:
    """Folder in which a training set is kept while the training runs; each machine has its own."""
    return operator.lake_hook.settings.home / "trainings"


class PrepareTrainingOperator(PhaseOperator):
    """Pin the training set's lake versions and the configuration, open the MLflow run, list the
    trials.

    Started by an event, it is skipped when the same training (same data, same configuration) is
    done. **Idempotent**: a retry finds the MLflow run that its first attempt opened. **XCom**: the
    trials, a list of {candidate, number}; under the key `run_id` the MLflow run, whose artifact
    `training/prepared.json` holds the pins. **Retries**: when MLflow or the lake does not answer.

    :param partition: the as-of partition (templated; by default the run's key)
    :param trials: trials per candidate (templated; empty as configured)
    """

    template_fields: Sequence[str] = ("partition", "trials")
    operator_extra_links = (MlflowRunLink(),)

    def __init__(
        self,
        *,
        partition: str = PARTITION_KEY,
        trials: str = "{{ params.trials or '' }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.partition = partition
        self.trials = trials

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Prepare the training as of the run's partition key."""
        from include.train_tune.prepare import prepare
        from include.train_tune.request import is_finished, training_name

        with errors_for_airflow():
            key = self.checked_key(self.partition)
            features = self.lake.table(self.use_case, "features").partitions()
            if key not in features:
                raise unknown("Partition", key, f"{self.use_case}.features", features)
            use_case = self.config.with_trials(int(self.trials) if self.trials else None)
            name = training_name(use_case, key, self.lake)
            if asked_by_a_person(context):
                run = context["dag_run"]
                name += f"-{run.run_id}-{run.clear_number or 0}"
            elif is_finished(self.registry, self.use_case, name):
                raise AirflowSkipException(f"up to date: training {name} as of {key} is done.")
            try:
                prepared = prepare(
                    use_case, key, self.lake, self.registry, name, kept_in=kept_in(self)
                )
            except DataContractError as error:
                self._remember_refusal(key, error, context)
                raise
        shown = ("run_id", "as_of", "partitions", "inputs", "rows", "trials")
        self.log.info("%s", {name: getattr(prepared, name) for name in shown})
        context["ti"].xcom_push(key=RUN_ID, value=prepared.run_id)
        self.mlflow_run_id = prepared.run_id
        return prepared.trials

    def _remember_refusal(self, key: str, error: DataContractError, context: Context) -> None:
        from include.due.state import refuse
        from include.due.wanted import wanted_training

        sources = wanted_training(self.config, self.lake, key)[key]
        words, writer = str(error), self.writer(context)
        refuse(self.use_case, "training", key, sources, words, self.lake, writer)


class RunTrialOperator(PhaseOperator):
    """Fit and score one configuration; mapped over the trials.

    **Idempotent**: a trial that is complete in the Optuna study is not run again. **XCom**:
    candidate, number, value, parameters. **Retries**: a killed trial is run again with the
    configuration that it had.

    :param run_id: the training's MLflow run (templated)
    :param candidate: the estimator's name (templated)
    :param number: the trial's number within its candidate, from 0 (templated)
    """

    template_fields: Sequence[str] = ("run_id", "candidate", "number")

    def __init__(self, *, run_id: str, candidate: str, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.candidate = candidate
        self.number = number

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the trial."""
        from include.train_tune.prepare import recall
        from include.train_tune.trial import run_trial

        with errors_for_airflow():
            done = run_trial(
                self.use_case,
                recall(self.registry, self.run_id),
                self.candidate,
                int(self.number),
                self.lake,
                self.registry,
                self.lake_hook.settings.optuna_storage.get_secret_value(),
                kept_in=kept_in(self),
            )
        facts = facts_of(done)
        self.log.info("%s", facts)
        return facts


class FinishTrainingOperator(PhaseOperator):
    """Fit the best configuration, score it beside the baselines, package, sign and register it as
    challenger.

    Goes on without the trials that failed, if enough completed. **Idempotent**: one training run
    gives one model version. **XCom**: version, run id, candidate, metrics of model, dummy and
    linear, trials. **Retries**: when MLflow or the lake does not answer.

    :param prepare_task_id: the task that prepared the training
    """

    operator_extra_links = (MlflowRunLink(),)

    def __init__(self, *, prepare_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prepare_task_id = prepare_task_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Finish the training."""
        import tempfile

        from include.train_tune.finish import finish
        from include.train_tune.prepare import recall

        run_id = context["ti"].xcom_pull(task_ids=self.prepare_task_id, key=RUN_ID)
        if run_id is None:
            raise AirflowFailException(
                f"{self.prepare_task_id} failed: nothing to finish. Correct what its log names, "
                "and clear it."
            )
        settings = self.lake_hook.settings
        with errors_for_airflow(), tempfile.TemporaryDirectory(prefix="flywheel-") as folder:
            trained = facts_of(
                finish(
                    self.use_case,
                    recall(self.registry, run_id),
                    self.lake,
                    self.registry,
                    settings.optuna_storage.get_secret_value(),
                    Path(folder),
                    kept_in=kept_in(self),
                )
            )
        self.mlflow_run_id = trained["run_id"]
        self.model_version = trained["version"]
        self.log.info("%s", trained)
        self.log.info("%s of %s trials completed", trained["trials_completed"], trained["trials"])
        self.emit(context, trained["as_of"], {"model_version": trained["version"]})
        return trained

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell Airflow's OpenLineage provider what was learned from, and which model came of it."""
        from include.train_tune.prepare import recall
        from plugins.lineage import training_lineage

        inputs = recall(self.registry, self.mlflow_run_id).inputs
        uri = self.registry.tracking_uri
        return training_lineage(self.use_case, self.model_version, inputs, self.lake, uri)


class CloseTrainingOperator(PhaseOperator):
    """Mark the MLflow run of a training that did not finish as failed, so that it does not count as
    asked for, and remove the training set that was kept on this machine.

    A teardown: it runs whether the other tasks succeeded or failed, and does not decide the state
    of the Dag run.
    **Idempotent**: a finished training is left. **XCom**: none. **Retries**: when MLflow does not
    answer.

    :param prepare_task_id: the task that prepared the training
    """

    def __init__(self, *, prepare_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prepare_task_id = prepare_task_id

    def execute(self, context: Context) -> None:
        """Look how the training ended."""
        from include.modelling.kept_training_set import forget
        from include.train_tune.request import close

        run_id = context["ti"].xcom_pull(task_ids=self.prepare_task_id, key=RUN_ID)
        if run_id is None:
            raise AirflowSkipException("No training was begun.")
        forget(kept_in(self) / run_id)
        with errors_for_airflow():
            status = close(self.registry, run_id)
        self.log.info("Training run %s: %s", run_id, status)
