"""### Feature

Builds the features of one clean partition, with the same function that serving uses.

**Runs** for each partition of `<use case>.clean` and of `<use case>.references` (weather that
lands late or is corrected makes its month due); by hand or by REST with a partition key, or by
"materialize" on the asset. **Produces** `<use case>.features`.

**On failure**: the log names the column or the reference table. Correct its files or the use case's
`features.py`; either makes the partition due again. **Expected skips**: the partition
is up to date, has the same content as before, or waits for a reference table whose landing starts
the next run.
"""

from airflow.sdk import DAG

from include.use_cases.schema import UseCase
from plugins.operators.feature import BuildFeaturesOperator
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    sources = [assets.clean]
    if use_case.ingest.references:
        sources.append(assets.references)
    news = assets.clean | assets.references if len(sources) > 1 else assets.clean
    with DAG(**dag_arguments(use_case, "feature", __doc__), schedule=when(use_case, news)) as dag:
        BuildFeaturesOperator(
            task_id="build_features",
            use_case=use_case.name,
            inlets=sources,
            outlets=[assets.features],
        )
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__feature"] = build_dag(_use_case)
