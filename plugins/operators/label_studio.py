"""Operators that ask people in Label Studio: send a round, wait for annotations, record them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, DataContractError
from plugins.hooks.label_studio import LabelStudioHook
from plugins.links import LabelCountsLink, LabelStudioLink
from plugins.operators.base import PARTITION_KEY, PhaseOperator, errors_for_airflow, facts_of
from plugins.triggers.annotations import AnnotationsTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.labelling.asking import Answer, Item, Round

VIA = "label_studio"
"""Where the recorded answers were given."""


class LabelStudioOperator(PhaseOperator):
    """Base of the operators of one round in Label Studio.

    :param number: of the round (templated)
    :param conn_id: Airflow connection of Label Studio
    :param partition: partition key (templated; by default the run's)
    """

    template_fields: Sequence[str] = ("partition", "number")

    def __init__(
        self, *, number: Any, conn_id: str, partition: str = PARTITION_KEY, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.number = number
        self.conn_id = conn_id
        self.partition = partition

    @cached_property
    def studio(self) -> LabelStudioHook:
        """Label Studio."""
        return LabelStudioHook(self.conn_id)

    @property
    def title(self) -> str:
        """Title of the project, which holds the rounds of all partitions."""
        from include.labelling.interface import title

        return title(self.use_case)

    def asked(self) -> Round:
        """Read the round."""
        from include.labelling.rounds import read_round

        key = self.checked_key(self.partition)
        return read_round(self.config, key, int(self.number), self.lake)

    @cached_property
    def round_keys(self) -> dict[int, str]:
        """Names of the partition's rounds in the project, by number."""
        from include.labelling.interface import round_key
        from include.labelling.rounds import round_ids

        key = self.checked_key(self.partition)
        found = round_ids(self.config, key, self.lake)
        return {number: round_key(key, number, each) for number, each in found.items()}

    @property
    def round_key(self) -> str:
        """Name of this round in the project."""
        number = int(self.number)
        if number not in self.round_keys:
            raise DataContractError(
                f"{self.use_case}: round {number} of {self.partition} must be in the lake, and is "
                "not: it was retracted. Start the Dag with the partition key for the next round."
            )
        return self.round_keys[number]


class SendItemsOperator(LabelStudioOperator):
    """Send the items of a round to Label Studio, with pictures and the champion's answers.

    Makes the project of the use case where there is none. An item whose row is gone is not sent.
    **Idempotent**: an item that is there already is not sent again, and of two attempts at the
    same time the tasks of one stay. **XCom**: how many items were
    sent now, how many are there, how many rows are gone; and the page of the project. **Retries**:
    when Label Studio or the lake does not answer.
    """

    operator_extra_links = (LabelStudioLink(),)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send what is not there."""
        from include.labelling.interface import interface
        from include.labelling.rounds import open_until
        from include.labelling.verdicts import people_of

        with errors_for_airflow():
            asked, people = self.asked(), people_of(self.config)
            open_until(self.config, asked)
            project = self.studio.ensure_project(
                self.title, interface(self.config), people.annotators
            )
            there = {
                task["data"].get("item") for task in self.studio.tasks(project, self.round_key)
            }
            # By their ids: the order tells nothing of why an item was chosen.
            shown = sorted((one for one in asked.items if one.row), key=lambda one: one.item)
            missing = [one for one in shown if one.item not in there]
            if missing:
                self._send(project, missing)
        self.labelling_page = f"{self.studio.url}/projects/{project}/data"
        found = {"sent": len(missing), "tasks": len(shown), "page": self.labelling_page}
        self.log.info("%s of %d items; %s", self.round_key, len(asked.items), found)
        return found | {"rows_gone": len(asked.items) - len(shown)}

    def _send(self, project: int, items: Sequence[Item]) -> None:
        from include.labelling.interface import task
        from include.lake.files import LakeFiles

        files, key = LakeFiles(self.lake), self.round_key
        pictures = {one.item: one.picture for one in items if one.picture is not None}
        addresses = self.studio.upload(pictures, files.read)
        tasks = [task(self.config, one, key, addresses.get(one.item)) for one in items]
        self.studio.send(project, tasks)
        self._discard_doubles(project)

    def _discard_doubles(self, project: int) -> None:
        """Delete what another attempt has sent at the same time: of each item the first stays."""
        first: dict[str, int] = {}
        doubles = [
            one["id"]
            for one in self.studio.tasks(project, self.round_key)
            if first.setdefault(str(one["data"].get("item")), one["id"]) != one["id"]
        ]
        for number in doubles:
            self.studio.discard_unanswered(number)


class WaitForAnnotationsOperator(LabelStudioOperator):
    """Wait, deferred, until each item was answered or the round closes.

    Outlives an outage of Label Studio. **Idempotent**: reads only. **XCom**: why the wait ended,
    `answered` or `closed`. **Retries**: none; a token that is refused, and a project that is gone,
    fail at once, and the task is cleared when that is mended.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(retries=0, **kwargs)

    def execute(self, context: Context) -> None:
        """Leave the waiting to the triggerer."""
        from include.labelling.verdicts import people_of

        with errors_for_airflow():
            asked, people = self.asked(), people_of(self.config)
        self.defer(
            trigger=AnnotationsTrigger(
                conn_id=self.conn_id,
                title=self.title,
                round_key=self.round_key,
                annotators=people.annotators,
                closes_at=(asked.closes_at or datetime.now(UTC)).isoformat(),
            ),
            method_name="go_on",
        )

    def go_on(self, context: Context, event: dict[str, str]) -> str:
        """Take what the trigger has found."""
        with errors_for_airflow():
            if event["why"] == "gone":
                raise DataContractError(event["told"])
            if event["why"] == "refused":
                raise ConfigError(event["told"])
        return event["why"]


class CollectAnnotationsOperator(LabelStudioOperator):
    """Record the annotations of a round, whether they count or not, and close it.

    Annotations of the partition's earlier rounds that came since are recorded too: what came after
    its round had closed does not count. Tasks that nobody has answered are then deleted, so that
    nobody works on them in vain. **Idempotent**: an answer is recorded once. **XCom**: how many
    answers have which verdict. **Retries**: when Label Studio or the lake does not answer.
    """

    operator_extra_links = (LabelCountsLink(),)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, record, and close."""
        from include.labelling.answers import record_answers

        number = int(self.number)
        with errors_for_airflow():
            key = self.checked_key(self.partition)
            writer = self.writer(context)
            project = self.studio.existing_project(self.title)
            self._check_there(project)
            annotators = self.studio.annotators()
            for earlier in sorted(each for each in self.round_keys if each < number):
                if late := self._answers(project, self.round_keys[earlier], annotators):
                    record_answers(self.config, key, earlier, late, self.lake, writer, via=VIA)
            answers = self._answers(project, self.round_key, annotators)
            # What is read here came before the end, whatever Label Studio's clock says.
            times = [one.answered_at for one in answers if one.answered_at is not None]
            closed_at = max([datetime.now(UTC), *times])
            done = record_answers(
                self.config,
                key,
                number,
                answers,
                self.lake,
                writer,
                via=VIA,
                closed_at=closed_at,
            )
            # What is recorded is safe: only then is anything taken away.
            discarded = self._discard(project)
        self.log.info("%s; %d tasks without an answer deleted", done, discarded)
        return facts_of(done)

    def _answers(self, project: int, round_key: str, annotators: dict[int, str]) -> list[Answer]:
        from include.labelling.annotations import answers

        tasks = self.studio.tasks(project, round_key)
        return [answer for task in tasks for answer in answers(task, annotators)]

    def _check_there(self, project: int) -> None:
        """Refuse to close a round that was lost: that would record that nobody has answered."""
        from include.labelling.answers import read_answers
        from include.labelling.rounds import ROUND

        tasks, _ = self.studio.progress(project, self.round_key, 1)
        if tasks:
            return
        key, number = self.checked_key(self.partition), int(self.number)
        recorded = read_answers(self.config, key, self.lake).column(ROUND).to_pylist()
        if number not in recorded:  # after it was recorded, tasks without an answer are deleted
            raise self.studio.lost(f"there is no task of the round {self.round_key}")

    def _discard(self, project: int) -> int:
        open_tasks = [
            task["id"]
            for task in self.studio.tasks(project, self.round_key)
            if not task["annotations"]
        ]
        return sum(map(self.studio.discard_unanswered, open_tasks))
