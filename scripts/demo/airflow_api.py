"""What the demo asks Airflow's REST API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from scripts.demo.target import Target

PAGE = 100


class AirflowApi:
    """Airflow's REST API (`/api/v2`) of one stack, or of one cluster."""

    def __init__(self, stack: Target) -> None:
        self._stack = stack
        self._client = self._connect()

    def get(self, path: str, **params: Any) -> Any:
        """GET a path below `/api/v2`; a token that has run out is replaced once."""
        response = self._client.get(path, params=params)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._client = self._connect()
            response = self._client.get(path, params=params)
        return response.raise_for_status().json()

    def active_runs(self) -> int:
        """Count the Dag runs that are queued or running."""
        found = self.get("/dags/~/dagRuns", state=["queued", "running"], limit=1)
        return int(found["total_entries"])

    def trigger(self, dag_id: str, partition_key: str, conf: dict[str, Any]) -> None:
        """Start a Dag by hand, as its form does."""
        body = {"logical_date": None, "partition_key": partition_key, "conf": conf}
        self._client.post(f"/dags/{dag_id}/dagRuns", json=body).raise_for_status()

    def finished_tasks(self, since: str) -> list[dict[str, Any]]:
        """List the task instances that ended at or after `since` (ISO), oldest first."""
        return list(self._pages("/dags/~/dagRuns/~/taskInstances", since))

    def _pages(self, path: str, since: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            found = self.get(
                path, end_date_gte=since, order_by="end_date", limit=PAGE, offset=offset
            )
            yield from found["task_instances"]
            offset += PAGE
            if offset >= found["total_entries"]:
                return

    def log_tail(self, task: dict[str, Any], lines: int = 15) -> str:
        """Give the end of a task's last log."""
        path = (
            f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
            f"/logs/{task['try_number']}"
        )
        content = self.get(path, map_index=task["map_index"])["content"]
        events = [
            str(part.get("event", part)) if isinstance(part, dict) else str(part)
            for part in content
        ]
        return "\n".join(events[-lines:])

    def _connect(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self._stack.settings.airflow_url}/api/v2",
            headers={"Authorization": f"Bearer {self._stack.token()}"},
            timeout=60,
            trust_env=False,
        )
