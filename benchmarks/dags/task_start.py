"""### Benchmark: the start of a task.

One task on Flywheel's own operator base that imports what the wheel's tasks use, and returns when
it had.

**Runs** by hand or by REST. **Produces** nothing.
"""

import importlib
import time
from typing import Any

from airflow.sdk import DAG

from plugins.operators.base import PhaseOperator
from plugins.wheel import dag_arguments, use_cases

HEAVY = ("mlflow", "great_expectations", "evidently")


class ImportHeavyOperator(PhaseOperator):
    """Import what the wheel's tasks use. **XCom**: `began`, `imported`: seconds since the epoch."""

    def execute(self, context: Any) -> dict[str, float]:
        """Import, and say when."""
        began = time.time()
        for name in HEAVY:
            importlib.import_module(name)
        return {"began": began, "imported": time.time()}


for _use_case in use_cases():
    with DAG(
        **dag_arguments(_use_case, "benchmark_task_start", __doc__),
        schedule=None,
    ) as _dag:
        ImportHeavyOperator(task_id="import_heavy", use_case=_use_case.name)
    globals()[_dag.dag_id] = _dag
