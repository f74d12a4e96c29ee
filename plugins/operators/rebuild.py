"""Operator that runs a phase again for a range of partitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.due.stages import ALL, REBUILT, STAGES
from include.errors import ConfigError, DataContractError
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.base import PhaseOperator, errors_for_airflow

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.housekeeping.survey import Survey

EVERY, OUT_OF_DATE = "all", "out of date"
"""What `only` may be."""
_INGESTION = STAGES["raw"].phase


class RebuildOperator(PhaseOperator):
    """Start a run of one phase for each partition of a range, newest first.

    Airflow cannot backfill a Dag that is scheduled by assets. **Idempotent**: a retry starts each
    run once; a cleared run starts them all again. Skipped when only what is out of date is wanted,
    and nothing is. **XCom**: what was started. **Retries**: when Airflow's REST API does not
    answer.

    :param phase: which phase (templated)
    :param first: first partition key (templated)
    :param last: last partition key (templated)
    :param most: how many partitions at most, from the newest on (templated)
    :param only: 'out of date' takes those that another definition than today's has made; 'all'
        takes every one (templated)
    """

    takes_partition_key = False
    template_fields: Sequence[str] = ("phase", "first", "last", "most", "only")

    def __init__(
        self,
        *,
        phase: str = "{{ params.phase }}",
        first: str = "{{ params.first }}",
        last: str = "{{ params.last }}",
        most: str = "{{ params.most }}",
        only: str = "{{ params.only }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phase = phase
        self.first = first
        self.last = last
        self.most = most
        self.only = only

    def execute(self, context: Context) -> list[str]:
        """Start the runs."""
        run = context["dag_run"]
        cleared = f"__{run.clear_number}" if run.clear_number else ""
        api, run_id = AirflowApiHook(), f"{run.run_id}{cleared}"
        with errors_for_airflow():
            keys = self._keys()
            for key in keys:
                self._start(api, key, f"{run_id}__{key}")
        self.log.info("Started %s: %s", self.phase, ", ".join(keys))
        return keys

    def _start(self, api: AirflowApiHook, key: str, run_id: str) -> None:
        dag_id = f"{self.use_case}__{self.phase}"
        if self.phase == _INGESTION:  # it has no partition key; its form names the partition
            api.start_run(dag_id, "", run_id, {"partition": key})
        else:
            api.start_run(dag_id, key, run_id)

    def _keys(self) -> list[str]:
        if self.phase not in REBUILT:
            raise ConfigError(
                f"{self.dag_id}: phase must be one of {sorted(REBUILT)}, got {self.phase!r}. Start "
                "it again with one of these."
            )
        if not self._survey.tables(self.phase):
            raise ConfigError(
                f"{self.dag_id}: {self.use_case} has no Dag of the phase {self.phase!r}. Start it "
                "again with another phase."
            )
        first, last = self.checked_key(self.first), self.checked_key(self.last)
        source, present = self._present()
        within = [key for key in present if first <= key <= last]
        if not within:
            raise DataContractError(
                f"{source} has no partition from {first} to {last}; it has "
                f"{', '.join(present) or 'none'}. Name a range of these."
            )
        if self.only == OUT_OF_DATE:
            outdated = self._out_of_date()
            within = [key for key in within if key in outdated]
            if not within:
                raise AirflowSkipException(
                    f"Nothing that {self.phase} makes from {first} to {last} is out of date."
                )
        return list(reversed(within))[: int(self.most)]

    def _present(self) -> tuple[str, list[str]]:
        """Return where the phase finds its partitions, and which there are."""
        if self.phase == _INGESTION:
            tables = self._survey.tables(self.phase)
            landed = {key for table in tables for key in self._survey.states(table)}
            return f"{self.use_case}: the landing area", sorted(landed - {ALL})
        (table,) = self._survey.tables(self.phase)
        source = self.lake.table(self.use_case, STAGES[table].made_from[0])
        return source.name, source.partitions()

    def _out_of_date(self) -> set[str]:
        from include.housekeeping.outdated import find_out_of_date

        return {key for one in find_out_of_date(self._survey, self.phase) for key in one.keys}

    @cached_property
    def _survey(self) -> Survey:
        from include.housekeeping.survey import Survey

        return Survey(self.config, self.lake, self.lake_hook.landing, self.ledger.current())
