"""Operators of the phase deploy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import DataContractError, ServiceUnavailable
from plugins.hooks.serving import ServingHook
from plugins.operators.base import (
    PARTITION_KEY,
    PhaseOperator,
    asked_by_a_person,
    emit,
    errors_for_airflow,
    facts_of,
    person_of,
    unknown,
)
from plugins.triggers.served_version import ServedVersionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

ANNOUNCED_AT_ONCE = 50
"""Partitions that one task announces: each starts a run, and 50 runs are minutes of work."""


class CompareModelsOperator(PhaseOperator):
    """Judge a challenger against the champion and the baselines, on the challenger's holdout.

    Configurations are fitted again at several origins of the holdout, so this takes a few fits.
    Judged is the newest model version that was trained as of the run's partition key, or the one
    that the form names; for a refit, the version that it was made of. A verdict of no is a result:
    nothing fails. Started by an event, it is skipped when the version has been judged.
    **Idempotent**: reads only. **XCom**: version, evaluated_version, and the verdict with its
    reasons. **Retries**: when MLflow or the lake does not answer.

    :param partition: partition key (templated; by default the run's)
    :param version: model version (templated; empty for the newest as of the key)
    :param override: reason to promote the named version whatever the verdict is, such as a
        rollback (templated; empty: the verdict decides)
    """

    template_fields: Sequence[str] = ("partition", "version", "override")

    def __init__(
        self,
        *,
        partition: str = PARTITION_KEY,
        version: str = "{{ params.version or '' }}",
        override: str = "{{ params.override or '' }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.partition = partition
        self.version = version
        self.override = override

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge the model version."""
        from include.deploy.compare import compare

        with errors_for_airflow():
            key, asked = self.checked_key(self.partition), asked_by_a_person(context)
            version = self._version(key, asked=asked)
            if not asked and (verdict_before := self.registry.judged(self.use_case, version)):
                raise AirflowSkipException(
                    f"up to date: version {version}, the newest as of {key}, was {verdict_before}."
                )
            judged = self._judged(version)
            current = self.ledger.current()
            champion = current.version if current else None
            verdict = facts_of(compare(self.config, judged, champion, self.lake, self.registry))
        if self.override and champion != version:
            by = f"promoted by {person_of(context)} whatever the verdict: {self.override}"
            verdict |= {"promote": True, "reasons": [by, *verdict["reasons"]]}
        self.log.info(
            "Model version %s: %s", version, "promote" if verdict["promote"] else "do not promote"
        )
        for reason in verdict["reasons"]:
            self.log.info("- %s", reason)
        return {
            "version": version if self.override else judged,
            "evaluated_version": judged,
            "overridden": bool(self.override),
            "as_of": key,
            **verdict,
            "champion_version": champion,
        }

    def _judged(self, version: str) -> str:
        """Return the version that figures are of: a refit has learned the rows of its judgement."""
        from include.registry.ledger import REFIT_OF

        tags = self.registry.details(self.use_case, version)["tags"]
        return str(tags.get(REFIT_OF, version))

    def _version(self, key: str, *, asked: bool) -> str:
        if self.override and not self.version:
            raise DataContractError(
                "An override must name the model version that it is for. Fill in the version too."
            )
        if self.version:
            versions = self.registry.versions(self.use_case)
            if self.version not in versions:
                where = f"the model {self.use_case!r}"
                raise unknown("Model version", self.version, where, versions)
            as_of = self.registry.details(self.use_case, self.version)["tags"]["as_of"]
            if as_of != key:
                raise DataContractError(
                    f"Model version {self.version} was trained as of {as_of}, and this run's "
                    f"partition key is {key}. Start the Dag again with partition key {as_of}."
                )
            return self.version
        newest = self.registry.newest_as_of(self.use_case, key)
        if newest is None:
            words = f"No version of model {self.use_case!r} was trained as of {key}"
            if asked:
                raise DataContractError(
                    f"{words}. Start {self.use_case}__train_tune with that key."
                )
            raise AirflowSkipException(f"{words}: nothing to deploy.")
        return newest


class ConfirmServingOperator(PhaseOperator):
    """Wait until the serving application answers with a model version.

    Waits deferred, and outlives an outage of the application as long as its time-out says.
    **Idempotent**: reads only. **XCom**: the partitions that the new champion has to score, and
    where people label the newest, in lists of at most 50. **Retries**: none; it waits until its
    time-out instead.

    :param version: model version that must answer (templated)
    :param timeout: how long to wait
    :param serving_conn_id: Airflow connection of the serving application
    """

    template_fields: Sequence[str] = ("version",)

    def __init__(
        self,
        *,
        version: str,
        timeout: timedelta,
        serving_conn_id: str = ServingHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=0, **kwargs)
        self.version = version
        self.timeout = timeout
        self.serving_conn_id = serving_conn_id

    def execute(self, context: Context) -> list[list[str]]:
        """Ask once; if the version does not answer yet, leave the asking to the triggerer."""
        hook = ServingHook(self.serving_conn_id)
        try:
            served = hook.served_version(self.use_case)
        except ServiceUnavailable as error:
            self.log.warning("%s Waiting for it.", error)
            served = None
        self.log.info("%s serves version %s; wanted is %s", self.use_case, served, self.version)
        if served != self.version:
            with errors_for_airflow():
                self._check_promoted()
            self.defer(
                trigger=ServedVersionTrigger(hook.url(), self.use_case, self.version),
                method_name="list_unscored",
                timeout=self.timeout,
            )
        return self.list_unscored(context)

    def _check_promoted(self) -> None:
        """Refuse to wait for what is not to serve: it would hold up every promotion for an hour."""
        current = self.ledger.current()
        if current is not None and current.version != self.version:
            raise DataContractError(
                f"{self.use_case}: version {self.version} will not serve: version "
                f"{current.version} was promoted since. Clear the run that promoted that one."
            )

    def list_unscored(self, context: Context, event: str | None = None) -> list[list[str]]:
        """List what the champion has to score."""
        from include.due.state import states
        from include.due.wanted import wanted_predictions

        with errors_for_airflow():
            champion = self.ledger.current()
            known = champion.known_up_to if champion else None
            wanted = wanted_predictions(self.config, self.lake, known)
            found = states(self.use_case, "predictions", wanted, self.lake)
            due = {key for key, state in found.items() if state.due}
            self.log.info("Partitions to score: %s", len(due))
            told = sorted(due | self._to_ask_about())
        steps = range(0, len(told), ANNOUNCED_AT_ONCE)
        return [told[start : start + ANNOUNCED_AT_ONCE] for start in steps]

    def _to_ask_about(self) -> set[str]:
        """Name the newest partition, where people label: what the champion is unsure of is there.

        It may have learned from that partition; then batch_predict skips it.
        """
        if self.config.labels is None or self.config.labels.people is None:
            return set()
        return set(self.lake.table(self.use_case, "features").partitions()[-1:])


class AnnounceChampionOperator(PhaseOperator):
    """Emit one event for each partition that the new champion has to score, or ask people about.

    **Idempotent**: a partition that was scored meanwhile is skipped by its run. **XCom**: none.
    **Retries**: nothing of its own can fail.

    :param partitions: the partition keys (templated)
    """

    template_fields: Sequence[str] = ("partitions",)

    def __init__(self, *, partitions: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partitions = partitions

    def execute(self, context: Context) -> None:
        """Emit them."""
        emit(context, self.outlets, list(self.partitions), {})
