"""Operators of the phase train and tune."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

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
from plugins.operators.trials import RUN_ID, UP_TO_DATE, Rounds, begun, kept_in, results_of

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context


class PrepareTrainingOperator(PhaseOperator):
    """Pin the training set's lake versions and the configuration, open the MLflow run, draw the
    first round of trials.

    Started by an event, it is skipped when the same training (same data, same configuration) is
    done. **Idempotent**: a retry finds the MLflow run that its first attempt opened. **XCom**: the
    trials, a list of {candidate, number, params}; under the key `run_id` the MLflow run, whose
    artifact `training/prepared.json` holds the pins; or under `up_to_date` why none was begun.
    **Retries**: when MLflow or the lake does not answer.

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
                words = f"up to date: training {name} as of {key} is done."
                context["ti"].xcom_push(key=UP_TO_DATE, value=words)
                raise AirflowSkipException(words)
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


class FinishTrainingOperator(PhaseOperator):
    """Fit the configuration that is kept, score it beside the baselines, package, sign and register
    it as challenger.

    Goes on without the trials that failed, if enough completed, and not without a round that could
    not be drawn. **Idempotent**: one training run gives one model version. **XCom**: version, run
    id, candidate, metrics of model, dummy and linear, trials. **Retries**: when MLflow or the lake
    does not answer.

    :param rounds: of each round, the task that draws it and the task that runs its trials; the
        first draws in preparing the training
    """

    operator_extra_links = (MlflowRunLink(),)

    def __init__(self, *, rounds: Rounds, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rounds = rounds

    def execute(self, context: Context) -> dict[str, Any]:
        """Finish the training."""
        import tempfile

        from include.train_tune.finish import finish
        from include.train_tune.prepare import recall

        run_id = begun(context, self.rounds)
        done = results_of(context, self.rounds)
        with errors_for_airflow(), tempfile.TemporaryDirectory(prefix="flywheel-") as folder:
            trained = facts_of(
                finish(
                    self.use_case,
                    recall(self.registry, run_id),
                    done,
                    self.lake,
                    self.registry,
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
