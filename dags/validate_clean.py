"""### Validate and clean

Checks one raw partition with Great Expectations, puts the rows that fail into `quarantine` with
their reasons, cleans the others (noise, missing values, duplicates) into `clean`.

**Runs** for each partition of `<use case>.raw`; by hand or by REST with a partition key, or by
"materialize" on the asset. **Produces** `<use case>.clean`.

**On failure**: the log lists each broken expectation with what was observed; nothing of the
partition was published. **Expected failures**: a batch is refused because too many of its rows
would be quarantined (`validate.max_quarantined_share`), or an expectation about the whole batch
fails. Correct the files, or `expectations.yaml`: either makes the partition due again. **Expected
skips**: the partition is up to date, or has the same content as before.
"""

from airflow.sdk import DAG

from include.use_cases.schema import UseCase
from plugins.operators.validate_clean import ValidateCleanOperator
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    with DAG(
        **dag_arguments(use_case, "validate_clean", __doc__), schedule=when(use_case, assets.raw)
    ) as dag:
        ValidateCleanOperator(
            task_id="validate_and_clean",
            use_case=use_case.name,
            inlets=[assets.raw],
            outlets=[assets.clean],
        )
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__validate_clean"] = build_dag(_use_case)
