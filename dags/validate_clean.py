"""### Validate and clean

Checks each raw partition with Great Expectations, puts the rows that fail into `quarantine` with
their reasons, cleans the others (noise, missing values, duplicates) into `clean`.

**Runs** for each partition of `<use case>.raw`; by hand or by REST with a partition key.
**Produces** `<use case>.clean`.

**On failure**: the log lists each broken expectation with what was observed; nothing of the
partition was published.
**Red is normal** when a batch is so bad that it is refused (`validate.max_quarantined_share`).
**Skipped is normal**: every partition is processed in its present version.
"""

from airflow.sdk import DAG, chain

from include.use_cases.schema import UseCase
from plugins.operators.base import FindPartitionsOperator
from plugins.operators.validate_clean import ValidateCleanOperator
from plugins.wheel import assets_of, dag_arguments, force_param, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    with DAG(
        **dag_arguments(use_case, "validate_clean", __doc__),
        schedule=when(use_case, assets.raw),
        params={"force": force_param()},
    ) as dag:
        find = FindPartitionsOperator(
            task_id="find_partitions", use_case=use_case.name, source="raw", target="clean"
        )
        process = ValidateCleanOperator.partial(
            task_id="validate_and_clean",
            use_case=use_case.name,
            map_index_template="{{ task.partition }}",
            outlets=[assets.clean],
        ).expand(partition=find.output)
        chain(find, process)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__validate_clean"] = build_dag(_use_case)
