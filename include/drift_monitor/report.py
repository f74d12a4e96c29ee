"""What a person looks at: Evidently's report and the numbers, one MLflow run a partition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.registry.client import Registry
from include.use_cases.schema import UseCase

PHASE = "drift_monitor"
_HTML = "drift.html"


def log_report(
    use_case: UseCase,
    partition: str,
    registry: Registry,
    *,
    snapshot: Any | None,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    report_dir: Path,
) -> str:
    """Log one monitoring of a partition and return the id of its run.

    Monitored again (labels came), a partition keeps its run: the newest value of each metric and
    tag counts.

    Parameters
    ----------
    use_case : UseCase
        Names the experiment.
    partition : str
        Names the run: 'monitor 2013-04'.
    registry : Registry
        Where MLflow is.
    snapshot : evidently Snapshot or None
        Saved as `drift.html`; None when no distribution was compared.
    metrics : mapping of str to float
        Logged as they are.
    tags : mapping of str to str
        Verdict, model version and the like.
    report_dir : Path
        Folder for the HTML file while it is uploaded; made if missing.
    """
    name = _request(partition)
    run_id = registry.run(
        use_case.name,
        name,
        name,
        {"flywheel.phase": PHASE, "flywheel.partition": partition},
    )
    if snapshot is not None:
        folder = report_dir / use_case.name / partition
        folder.mkdir(parents=True, exist_ok=True)
        html = folder / _HTML
        snapshot.save_html(str(html))
        registry.client.log_artifact(run_id, str(html))
    registry.log(run_id, metrics=metrics, tags=tags)
    registry.client.set_terminated(run_id)
    return run_id


def read_drift_report(use_case: str, partition: str, registry: Registry) -> bytes | None:
    """Return Evidently's report on a partition; None where no distribution was compared.

    It is what MLflow's store holds: whoever shows it must not trust it.

    Raises
    ------
    ServiceUnavailable
        MLflow does not answer.
    """
    run_id = registry.find_run(use_case, _request(partition))
    if run_id is None or _HTML not in {one.path for one in registry.client.list_artifacts(run_id)}:
        return None
    with TemporaryDirectory(prefix="flywheel-") as folder:
        return Path(registry.client.download_artifacts(run_id, _HTML, folder)).read_bytes()


def _request(partition: str) -> str:
    return f"monitor {partition}"
