"""Operators that ask people for labels: choose rows, ask in Airflow, collect, publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowSkipException

from include.errors import DataContractError
from include.use_cases.people_coherence import SKIP
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.links import PAGES, LabelCountsLink, RequiredActionsLink
from plugins.operators.base import (
    PARTITION_KEY,
    PhaseOperator,
    asked_by_a_person,
    errors_for_airflow,
    facts_of,
)
from plugins.operators.partition import published_by_this_run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.labelling.asking import Answer, Item, Round


class AnnotateOperator(PhaseOperator):
    """Base of the operators of one round of one partition.

    :param partition: partition key (templated; by default the run's)
    """

    template_fields: Sequence[str] = ("partition",)

    def __init__(self, *, partition: str = PARTITION_KEY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition = partition


class ChooseItemsOperator(AnnotateOperator):
    """Choose the rows that people are asked about, and make their pictures.

    Skipped, with the reason, where nobody is to be asked: started by an event also where the
    champion has chosen the last round already. **Idempotent**: the same run gets the
    same round. **XCom**: the number of the round; where Airflow asks, for each of the 50 items at
    most, with its id and its place. **Retries**: when MLflow or the lake does not answer.
    """

    operator_extra_links = (RequiredActionsLink(),)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Choose."""
        from include.annotate.choosing import choose_round
        from include.annotate.due import why_not_now
        from include.annotate.guesses import guesses_of
        from include.labelling.verdicts import people_of

        with errors_for_airflow():
            key = self.checked_key(self.partition)
            writer = self.writer(context)
            champion = self.ledger.current()
            version = champion.version if champion else None
            if not asked_by_a_person(context) and (
                why_not := why_not_now(self.config, key, version, self.lake, writer.run_id)
            ):
                raise AirflowSkipException(why_not)
            guesses = guesses_of(self.config, key, version, self.lake, self.registry)
            read = self.lake_hook.landing.read_path
            chosen = choose_round(self.config, key, self.lake, writer, guesses, read)
            if not chosen.items:
                raise AirflowSkipException(chosen.why_not)
            if chosen.is_closed:  # the run was cleared
                raise AirflowSkipException(
                    f"Round {chosen.number} of {key} was asked by this run before, and is closed. "
                    "Start the Dag with the partition key for the next one."
                )
        # By their ids: the order tells nothing of why an item was chosen.
        items = sorted(one.item for one in chosen.items)
        self.log.info("Round %d of %s: %d items", chosen.number, key, len(items))
        if people_of(self.config).ask != "airflow":  # a round may have 10,000 items there
            return [{"round": chosen.number, "of": len(items)}]
        return [
            {"round": chosen.number, "item": item, "place": place, "of": len(items)}
            for place, item in enumerate(items, start=1)
        ]


class AskForLabelOperator(AnnotateOperator, HITLOperator):
    """Ask people for the label of one item, and wait for an answer until the round closes.

    It waits without a worker. Airflow answers "Skip" itself, without a person's name, when the time
    is over. Nobody relies on this task's state: `CollectAnswersOperator` reads the recorded answer.
    **Idempotent**: cleared, it asks again while the round is open. **XCom**: the answer, for the
    pages. **Retries**: when the lake does not answer.

    :param question: one of those that `ChooseItemsOperator` returned (templated)
    :param options: the names of the classes
    :param response_timeout: how long a round is open
    """

    template_fields: Sequence[str] = ("partition", "question")

    def __init__(
        self, *, question: Any, options: list[str], response_timeout: timedelta, **kwargs: Any
    ) -> None:
        super().__init__(
            subject="",  # known when the item is
            options=[*options, SKIP],
            defaults=SKIP,  # Airflow writes it, without a name, when the time is over
            response_timeout=response_timeout,
            **kwargs,
        )
        self.question = question

    def execute(self, context: Context) -> Any:
        """Ask."""
        from include.labelling.card import card
        from include.labelling.rounds import open_until, read_round

        with errors_for_airflow():
            key = self.checked_key(self.partition)
            asked = read_round(self.config, key, self.question["round"], self.lake)
            item = self._item(asked)
            closes_at = open_until(self.config, asked)
            shown = card(
                self.config,
                item,
                place=self.question["place"],
                of=self.question["of"],
                closes_at=closes_at,
                pictures=PAGES.lstrip("/"),  # the pages name their own root as base
            )
        # Questions of one round close together, however late each was asked.
        self.response_timeout = closes_at - datetime.now(UTC)
        self.subject, self.body = shown.subject, shown.body
        return super().execute(context)

    def _item(self, asked: Round) -> Item:
        found = [one for one in asked.items if one.item == self.question["item"]]
        if not found or not found[0].row:
            raise DataContractError(
                f"{self.use_case}: the row of item {self.question['item']} must be in the clean "
                f"rows of {asked.partition} as it was when round {asked.number} was chosen, and is "
                "not: it was corrected or retracted since. Nobody is asked about it; the other "
                "questions go on."
            )
        return found[0]


class CollectAnswersOperator(AnnotateOperator):
    """Record what Airflow has recorded of the answers, whether they count or not.

    The state of the tasks that asked says nothing: one that was marked as successful by hand has no
    answer. Answers to questions that were cleared are recorded too. **Idempotent**: an answer is
    recorded once. **XCom**: how many answers have which verdict. **Retries**: when Airflow or the
    lake does not answer.

    :param chosen_by: the task that chose the items; not one right before this, or its success would
        stand for that of the questions
    :param asked_by: the task that asked
    """

    operator_extra_links = (LabelCountsLink(),)

    def __init__(
        self, *, chosen_by: str = "choose_items", asked_by: str = "ask", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.chosen_by = chosen_by
        self.asked_by = asked_by

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, and record."""
        from include.labelling.answers import record_answers

        with errors_for_airflow():
            key = self.checked_key(self.partition)
            writer = self.writer(context)
            questions = context["ti"].xcom_pull(task_ids=self.chosen_by)
            answers = self._answers(context, questions)
            # What is read here came before the end, whatever the API server's clock says.
            times = [one.answered_at for one in answers if one.answered_at is not None]
            done = record_answers(
                self.config,
                key,
                questions[0]["round"],
                answers,
                self.lake,
                writer,
                via="airflow",
                closed_at=max([datetime.now(UTC), *times]),
            )
        self.log.info("%s", done)
        return facts_of(done)

    def _answers(self, context: Context, questions: list[dict[str, Any]]) -> list[Answer]:
        from include.labelling.asking import Answer

        run = context["dag_run"]
        recorded = AirflowApiHook().answers_of(run.dag_id, run.run_id, self.asked_by)
        return [
            Answer(
                item=questions[one["map_index"]]["item"],
                # Nobody, where Airflow wrote the default when the time was over.
                annotator=one["responded_by_user"] and one["responded_by_user"]["name"],
                answer=", ".join(one["chosen_options"]),
                answered_at=datetime.fromisoformat(one["responded_at"]),
                external=f"{run.run_id}/{one['map_index']}/{one['try_number']}",
            )
            for one in recorded
            if one["responded_at"] is not None
        ]


class PublishLabelsOperator(AnnotateOperator):
    """Make labels of the answers of all rounds of a partition, and emit one event for the round.

    Skipped where the round brought no new label. **Idempotent**: the same answers give the same
    labels. **XCom**: rows, labels, versions. **Retries**: when the lake does not answer.
    """

    operator_extra_links = (LabelCountsLink(),)

    def execute(self, context: Context) -> dict[str, Any]:
        """Publish."""
        from include.annotate.publish import publish_people

        with errors_for_airflow():
            key = self.checked_key(self.partition)
            writer = self.writer(context)
            labels = self.lake.table(self.use_case, "labels")
            half_done = published_by_this_run(labels, key, context)
            done = facts_of(publish_people(self.config, key, self.lake, writer))
        self.log.info("%s", done)
        if not done["changed"] and not half_done:
            raise AirflowSkipException(
                f"Labels of {key}: the answers bring no new one. Nothing is started."
            )
        self.emit(context, key, {"rows": done["labelled"], "version": done["version"]})
        return done
