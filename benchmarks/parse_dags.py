"""Parse every Dag file and print what it took, as JSON: run in a process of its own.

    python -m benchmarks.parse_dags dags

Each file is parsed in a fork of a process that has imported `airflow.sdk` and is warmed by
`plugins.listeners.warm_tasks`, as the dag-processor is.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path

HEAVY = (
    "mlflow", "great_expectations", "evidently", "sklearn", "optuna", "pandas", "pyarrow",
    "deltalake",
)  # fmt: skip


def main(folder: str) -> None:
    """Print the seconds of `import airflow.sdk` and, by file, seconds, Dags and heavy modules."""
    started = time.perf_counter()
    import airflow.sdk

    base_s = time.perf_counter() - started
    from plugins.listeners import warm_tasks

    warm_tasks.warm(warm_tasks.PARSING)
    files = {
        path.name: _in_a_fork(path, airflow.sdk.DAG) for path in sorted(Path(folder).glob("*.py"))
    }
    print(json.dumps({"import_airflow_sdk_s": base_s, "files": files}))


def _in_a_fork(path: Path, dag_class: type) -> dict[str, object]:
    read, write = os.pipe()
    if pid := os.fork():
        os.close(write)
        with os.fdopen(read) as answer:
            text = answer.read()
        os.waitpid(pid, 0)
        return dict(json.loads(text))
    started = time.perf_counter()
    found = runpy.run_path(str(path))
    seconds = time.perf_counter() - started
    dags = sum(isinstance(value, dag_class) for name, value in found.items() if "__" in name)
    heavy = [module for module in HEAVY if module in sys.modules]
    with os.fdopen(write, "w") as answer:
        json.dump({"seconds": seconds, "dags": dags, "heavy": heavy}, answer)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
