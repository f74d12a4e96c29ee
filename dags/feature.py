"""### Feature

Builds the features of each clean partition, by the very function with which serving builds them.

**Runs** for each partition of `<use case>.clean` and of `<use case>.references` (weather that
lands late or is corrected makes its month due); by hand or by REST with a partition key.
**Produces** `<use case>.features`.

**On failure**: the log names the column or the reference table. **Red is normal** when a
reference table has not landed yet: its landing starts the next run. **Skipped is normal**: every
partition is processed in its present version.
"""

from airflow.sdk import DAG, chain

from include.use_cases.schema import UseCase
from plugins.operators.feature import BuildFeaturesOperator, FindUnbuiltOperator
from plugins.wheel import assets_of, dag_arguments, force_param, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    news = assets.clean | assets.references if use_case.ingest.references else assets.clean
    with DAG(
        **dag_arguments(use_case, "feature", __doc__),
        schedule=when(use_case, news),
        params={"force": force_param()},
    ) as dag:
        find = FindUnbuiltOperator(
            task_id="find_partitions", use_case=use_case.name, source="clean", target="features"
        )
        process = BuildFeaturesOperator.partial(
            task_id="build_features",
            use_case=use_case.name,
            map_index_template="{{ task.partition }}",
            outlets=[assets.features],
        ).expand(partition=find.output)
        chain(find, process)
    return dag


for _use_case in use_cases():
    globals()[f"{_use_case.name}__feature"] = build_dag(_use_case)
