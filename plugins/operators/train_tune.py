"""Operators of the phase train and tune."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from include.errors import DataContractError
from plugins.operators.base import PhaseOperator, facts_of, failures_in_airflows_words, unknown

if TYPE_CHECKING:
    from airflow.sdk import Context


class PrepareTrainingOperator(PhaseOperator):
    """Pin the training set's lake versions, open the MLflow run, list the trials.

    **Idempotent**: the same data and configuration find the same MLflow run; when that run is
    finished there are no trials left, and the tasks after this one are skipped. **XCom**: the
    trials, a list of {candidate, number}; under the key `prepared` the training (run id,
    versions, partitions). **Retries**: when MLflow or the lake does not answer.
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Prepare the training as of the run's partition key, or the latest partition."""
        from include.train_tune.prepare import prepare
        from include.train_tune.request import is_finished, training_name

        params = context["params"]
        with failures_in_airflows_words():
            as_of = self._as_of(context)
            use_case = self.config.with_trials(params.get("trials"))
            name = training_name(use_case, as_of, self.lake)
            if params.get("again"):
                name += f"-{context['run_id']}"
            prepared = prepare(use_case, as_of, self.lake, self.registry, name)
        self.log.info("%s", asdict(prepared))
        context["ti"].xcom_push(key="prepared", value=asdict(prepared))
        if is_finished(self.registry, prepared.run_id):
            self.log.info("This training has been done: MLflow run %s", prepared.run_id)
            return []
        return prepared.trials

    def _as_of(self, context: Context) -> str:
        features = self.lake.table(self.use_case, "features").partitions()
        key: str | None = context.get("partition_key")
        if key is not None and key not in features:
            raise unknown("Partition", key, f"{self.use_case}.features", features)
        if not features:
            raise DataContractError(
                f"{self.use_case}.features has nothing yet. Land data first: "
                f"{self.use_case}__ingest_label takes it in."
            )
        if key is None:
            self.log.info("No partition key: training as of the latest partition, %s", features[-1])
        return key or features[-1]


class RunTrialOperator(PhaseOperator):
    """Fit and score one configuration; mapped over the trials.

    **Idempotent**: a trial that is complete in the Optuna study is not run again. **XCom**:
    candidate, number, value, parameters. **Retries**: a killed trial is marked failed and run
    again.

    :param prepared: what `PrepareTrainingOperator` returned (templated)
    :param candidate: the estimator's name (templated)
    :param number: the trial's number within its candidate, from 0 (templated)
    """

    template_fields: Sequence[str] = ("prepared", "candidate", "number")

    def __init__(self, *, prepared: Any, candidate: str, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prepared = prepared
        self.candidate = candidate
        self.number = number

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the trial."""
        from include.train_tune.trial import run_trial

        with failures_in_airflows_words():
            done = run_trial(
                self.config,
                self.prepared,
                self.candidate,
                int(self.number),
                self.lake,
                self.registry,
                self.lake_hook.settings.optuna_storage,
            )
        facts = facts_of(done)
        self.log.info("%s", facts)
        return facts


class FinishTrainingOperator(PhaseOperator):
    """Fit the best configuration, score it beside the baselines, package, sign and register it as
    challenger.

    **Idempotent**: one training run gives one model version. **XCom**: version, run id,
    candidate, metrics of model, dummy and linear. **Retries**: when MLflow or the lake does not
    answer.

    :param prepared: what `PrepareTrainingOperator` returned (templated)
    """

    template_fields: Sequence[str] = ("prepared",)

    def __init__(self, *, prepared: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prepared = prepared

    def execute(self, context: Context) -> dict[str, Any]:
        """Finish the training."""
        import tempfile
        from pathlib import Path

        from include.train_tune.finish import finish

        settings = self.lake_hook.settings
        with (
            failures_in_airflows_words(),
            tempfile.TemporaryDirectory(prefix="flywheel-") as folder,
        ):
            trained = facts_of(
                finish(
                    self.config,
                    self.prepared,
                    self.lake,
                    self.registry,
                    settings.optuna_storage,
                    Path(folder),
                )
            )
        self.log.info("%s", trained)
        self.emit(context, trained["as_of"], {"model_version": trained["version"]})
        return trained
