"""Operators of a training's search: they draw the trials of a round, and run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from plugins.operators.base import PhaseOperator, errors_for_airflow, facts_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.modelling.search import TrialDone

RUN_ID = "run_id"
"""XCom key: the MLflow run of the training, which holds what every later task needs."""
UP_TO_DATE = "up_to_date"
"""XCom key: why no training was begun. Tasks that run whatever became of those before them (rule
ALL_DONE) tell by it a training that is not needed from one that failed."""

Rounds = Sequence[tuple[str, str]]
"""Of each round, the task that draws its trials and the task that runs them."""


def kept_in(operator: PhaseOperator) -> Path:
    """Folder in which a training set is kept while the training runs; each machine has its own."""
    return operator.lake_hook.settings.home / "trainings"


def begun(context: Context, rounds: Rounds) -> str:
    """Return the training's MLflow run; without one the task is skipped, or fails.

    :param rounds: the first is drawn by the task that prepares the training
    """
    ti, (prepare_task_id, _) = context["ti"], rounds[0]
    run_id: str | None = ti.xcom_pull(task_ids=prepare_task_id, key=RUN_ID)
    if run_id is not None:
        return run_id
    if words := ti.xcom_pull(task_ids=prepare_task_id, key=UP_TO_DATE):
        raise AirflowSkipException(words)
    raise AirflowFailException(
        f"{prepare_task_id} failed: there is no training to go on with. Correct what its log "
        "names, and clear it."
    )


def results_of(context: Context, rounds: Rounds) -> list[TrialDone]:
    """Return what came of every trial of these rounds; one whose task failed has failed.

    A round that could not be drawn is an error: without it the same data and seed would give
    another search.
    """
    from include.modelling.search import Trial, TrialDone, with_failed

    ti, results = context["ti"], []
    for draw_task_id, trial_task_id in rounds:
        drawn = ti.xcom_pull(task_ids=draw_task_id)
        if drawn is None:
            raise AirflowFailException(
                f"{draw_task_id} failed: the search cannot go on without its trials. Correct what "
                "its log names, and clear it."
            )
        done = [one for one in ti.xcom_pull(task_ids=[trial_task_id]) or [] if one is not None]
        results += with_failed([Trial(**one) for one in drawn], [TrialDone(**one) for one in done])
    return results


class DrawRoundOperator(PhaseOperator):
    """Draw the trials of a later round from the results of all rounds before it.

    Runs when these have ended, however: a trial whose task failed is told as failed.
    **Idempotent**: the same results give the same trials. **XCom**: the trials, a list of
    {candidate, number, params}, empty where the search has no such round. **Retries**: when MLflow
    does not answer.

    :param round_number: from 2
    :param rounds: of each round before it, the task that draws it and the task that runs its
        trials; the first draws in preparing the training
    """

    def __init__(self, *, round_number: int, rounds: Rounds, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.round_number = round_number
        self.rounds = rounds

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Draw the round."""
        from include.modelling.search import draw
        from include.train_tune.prepare import recall

        run_id = begun(context, self.rounds)
        done = results_of(context, self.rounds)
        with errors_for_airflow():
            use_case = recall(self.registry, run_id).use_case(self.use_case)
            trials = [asdict(trial) for trial in draw(use_case, self.round_number, done)]
        failed = [f"{one.candidate} {one.number}" for one in done if one.value is None]
        self.log.info("%d trials; told as failed: %s", len(trials), ", ".join(failed) or "none")
        return trials


class RunTrialOperator(PhaseOperator):
    """Fit and score one configuration; mapped over the trials of a round.

    **Idempotent**: the same trial gives the same result, logged to the same MLflow run. **XCom**:
    candidate, number, params, value. **Retries**: a killed trial is run again with the
    configuration that was drawn for it.

    :param run_id: the training's MLflow run (templated)
    :param trial: candidate, number and params, as they were drawn (templated)
    """

    template_fields: Sequence[str] = ("run_id", "trial")

    def __init__(self, *, run_id: str, trial: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.trial = trial

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the trial."""
        from include.modelling.search import Trial
        from include.train_tune.prepare import recall
        from include.train_tune.trial import run_trial

        with errors_for_airflow():
            done = run_trial(
                self.use_case,
                recall(self.registry, self.run_id),
                Trial(**self.trial),
                self.lake,
                self.registry,
                kept_in=kept_in(self),
            )
        facts = facts_of(done)
        self.log.info("%s", facts)
        return facts
