"""### Ingest and label

Takes landed files into the lake: rows into `raw`, outcomes into `labels`, reference tables beside
them.

**Runs** when files land, on the use case's schedule, by hand, by REST. It has no partition key: it
finds the partitions that are new.
**Produces** `<use case>.raw`, `<use case>.labels`, `<use case>.references`, one event per partition
whose content changed; of labels, where features wait for them.

**On failure**: `report_refused` lists each partition that was refused: file, row, column, and what
to do. The others were ingested. Correct the file and land it again: that starts the next run. To
take a partition back, start `<use case>__retract`. An `ingest_*` task that fails says which store
did not answer; the next run ingests what is missing.

**Expected skips**: nothing new has landed, or nothing was refused.
"""

from airflow.sdk import (
    DAG,
    AssetAlias,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    TriggerRule,
    chain,
)

from include.due.stages import ALL
from include.use_cases.schema import UseCase
from plugins.operators.ingest_label import (
    IngestLabelsOperator,
    IngestReferencesOperator,
    IngestRowsOperator,
    ReportRefusedOperator,
)
from plugins.wheel import PARTITION_PATTERN, assets_of, dag_arguments, use_cases


def schedule_of(use_case: UseCase) -> object:
    """When files land; also at the use case's times, in case the watcher misses a file."""
    landing = assets_of(use_case).landing
    if use_case.ingest.schedule is None:
        return [landing]
    timetable = CronTriggerTimetable(use_case.ingest.schedule, timezone="UTC")
    return AssetOrTimeSchedule(timetable=timetable, assets=[landing])


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    partition = Param(
        default=None,
        type=["null", "string"],
        pattern=f"{PARTITION_PATTERN}|^{ALL}$",
        title="Partition",
        description="Take in this partition, such as 2013-04, also if it is not new; 'all' is that "
        "of references that land whole. "
        "Empty: all that is new, and all that was refused.",
    )
    kinds = {
        "rows": (IngestRowsOperator, assets.raw),
        "labels": (IngestLabelsOperator, assets.labels),
        "references": (IngestReferencesOperator, assets.references),
    }
    if use_case.labels is None:
        del kinds["labels"]
    if not use_case.ingest.references:
        del kinds["references"]
    with DAG(
        **dag_arguments(use_case, "ingest_label", __doc__),
        schedule=schedule_of(use_case),
        params={"partition": partition},
    ) as dag:
        tasks = []
        for name, (operator, asset) in kinds.items():
            more = AssetAlias(f"{use_case.name}.more_{name}")
            tasks.append(
                operator(
                    task_id=f"ingest_{name}",
                    use_case=use_case.name,
                    more=more,
                    landing=assets.landing,
                    inlets=[assets.landing],
                    outlets=[asset, more],
                )
            )
        report = ReportRefusedOperator(
            task_id="report_refused",
            use_case=use_case.name,
            task_ids=[task.task_id for task in tasks],
            # Not "all_done": a skipped last task would make a run green whose ingestion failed.
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        chain(tasks, report)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__ingest_label"] = build_dag(_use_case)
