"""### Ingest and label

Takes landed files into the lake: rows into `raw`, outcomes into `labels`, reference tables beside
them.

**Runs** when files land, on the use case's schedule, by hand, by REST.
**Produces** `<use case>.raw`, `<use case>.labels`, `<use case>.references`, an event a partition.

**On failure**: the task's log names the file, the line, the column and what to do; nothing of
that partition was published. Mend the file and land it again: that starts the next run. **Red is
normal** when a landed file is malformed: other partitions go on, but rows wait for a malformed
reference table. **Skipped is normal**: nothing new has landed.
"""

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, chain

from include.use_cases.schema import UseCase
from plugins.operators.ingest_label import (
    FindLandedOperator,
    IngestLabelsOperator,
    IngestReferencesOperator,
    IngestRowsOperator,
)
from plugins.wheel import assets_of, dag_arguments, force_param, use_cases


def schedule_of(use_case: UseCase) -> object:
    """When files land, and, should the watcher ever miss them, at the use case's times."""
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
        pattern=r"^\d{4}-\d{2}(-\d{2})?$",
        title="Partition",
        description="Take in only this partition, such as 2013-04. Empty: all that is new.",
    )
    with DAG(
        **dag_arguments(use_case, "ingest_label", __doc__),
        schedule=schedule_of(use_case),
        params={"partition": partition, "force": force_param()},
    ) as dag:
        references = IngestReferencesOperator(
            task_id="ingest_references", use_case=use_case.name, outlets=[assets.references]
        )
        find_rows = FindLandedOperator(
            task_id="find_rows",
            use_case=use_case.name,
            what="raw",
            trigger_rule="none_failed",
        )
        rows = IngestRowsOperator.partial(
            task_id="ingest_rows",
            use_case=use_case.name,
            map_index_template="{{ task.partition }}",
            outlets=[assets.raw],
        ).expand(partition=find_rows.output)
        chain(references, find_rows, rows)
        if use_case.labels is not None:
            find_labels = FindLandedOperator(
                task_id="find_labels",
                use_case=use_case.name,
                what="labels",
                trigger_rule="none_failed",
            )
            labels = IngestLabelsOperator.partial(
                task_id="ingest_labels",
                use_case=use_case.name,
                map_index_template="{{ task.partition }}",
                outlets=[assets.labels],
            ).expand(partition=find_labels.output)
            chain(references, find_labels, labels)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__ingest_label"] = build_dag(_use_case)
