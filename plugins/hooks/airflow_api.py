"""The way to Airflow's own REST API, for what a task cannot do from inside."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk.bases.hook import BaseHook

from include.errors import ConfigError, ServiceUnavailable
from plugins.hooks.address import address_of

if TYPE_CHECKING:
    import httpx

_PAGE = 100
_RECENT = 500
_PENDING = "/ui/partitioned_dag_runs"
"""Private to Airflow's pages. A test holds it against the installed Airflow."""
_TIMEOUT_S = 30


class AirflowApiHook(BaseHook):
    """Creates asset events and Dag runs, lists what is queued or running, and reads answers.

    :param airflow_conn_id: connection of type HTTP: host, port, and the login of an account that
        may create asset events
    """

    conn_name_attr = "airflow_conn_id"
    default_conn_name = "flywheel_airflow"
    hook_name = "Airflow REST API"

    def __init__(self, airflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.airflow_conn_id = airflow_conn_id

    def is_paused(self, dag_id: str) -> bool:
        """Whether a Dag is paused: it would lose the event."""
        return bool(self._get(f"/api/v2/dags/{dag_id}")["is_paused"])

    def active_keys(self, dag_id: str) -> set[str]:
        """Partition keys of the runs that are queued, running, or about to be created.

        A run without a key has ''.
        """
        runs = self._pages(
            f"/api/v2/dags/{dag_id}/dagRuns", "dag_runs", state=["queued", "running"]
        )
        return {run["partition_key"] or "" for run in runs} | self._pending_keys(dag_id)

    def _pending_keys(self, dag_id: str) -> set[str]:
        """Partition keys of events that Airflow has received and made no run of yet.

        Only a private endpoint of Airflow's pages tells them. Without it an event may be sent twice
        within a few seconds: the second run finds nothing due, and is skipped.
        """
        answer = self._ask(
            "GET",
            _PENDING,
            allowed=404,
            params={"dag_id": dag_id, "has_created_dag_run_id": "false"},
        )
        try:
            return {one["partition_key"] for one in answer.json()["partitioned_dag_runs"]}
        except (KeyError, TypeError, ValueError):
            self.log.warning(
                "Airflow at %s does not tell pending partitions any more (GET %s, HTTP %s): an "
                "event may be sent twice, which does no harm. Look whether a newer Flywheel knows "
                "this version of Airflow.",
                self._url,
                _PENDING,
                answer.status_code,
            )
            return set()

    def failures_in_a_row(self, dag_id: str) -> dict[str, tuple[int, datetime]]:
        """Count, for each key, how many of its newest runs failed one after the other.

        Looks at the newest 500 runs of the Dag, in at most five requests. Keys whose newest run did
        not fail are left out; so are runs that have not ended.

        :return: count, and when the newest of them was created, by key; '' stands for none
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        runs = self._pages(
            path, "dag_runs", most=_RECENT, order_by="-run_after", state=["failed", "success"]
        )
        counts: dict[str, tuple[int, datetime]] = {}
        ended: set[str] = set()
        for run in runs:
            key = run["partition_key"] or ""
            if run["state"] != "failed":
                ended.add(key)
            if key not in ended:
                count, newest = counts.get(key, (0, datetime.fromisoformat(run["run_after"])))
                counts[key] = (count + 1, newest)
        return counts

    def dags_with_failed_runs(self, prefix: str) -> set[str]:
        """Name the Dags, of those whose id begins so, that have failed among their newest runs.

        Looks at the newest 500 failed runs of all Dags.
        """
        path = "/api/v2/dags/~/dagRuns"
        pattern = {"dag_id_prefix_pattern": prefix}
        runs = self._pages(
            path, "dag_runs", most=_RECENT, order_by="-run_after", state="failed", **pattern
        )
        return {run["dag_id"] for run in runs if run["dag_id"].startswith(prefix)}

    def create_event(self, asset: str, key: str, extra: dict[str, Any]) -> None:
        """Create an asset event.

        :param asset: name of the asset
        :param key: partition key; '' for none
        :param extra: small facts
        """
        body = {"asset_id": self._asset_id(asset), "extra": extra}
        self._post("/api/v2/assets/events", body | ({"partition_key": key} if key else {}))

    def start_run(
        self, dag_id: str, key: str, run_id: str, conf: dict[str, Any] | None = None
    ) -> bool:
        """Start a run; False where a run of that id exists already.

        :param key: partition key; '' for a Dag that takes none
        :param conf: fields of its form
        """
        body: dict[str, Any] = {"dag_run_id": run_id, "logical_date": None}
        body |= ({"partition_key": key} if key else {}) | ({"conf": conf} if conf else {})
        return self._post(f"/api/v2/dags/{dag_id}/dagRuns", body, allowed=409) != 409

    def answer_to(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
        """Return what Airflow has recorded of a question to a person, and of its answer.

        :return: `hitlDetails` of the REST API; None where the task has not asked
        """
        run = quote(run_id, safe="")
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/-1/hitlDetails"
        answer = self._ask("GET", path, allowed=404)
        recorded: dict[str, Any] | None = None if answer.status_code == 404 else answer.json()
        return recorded

    def answers_of(self, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """Return what Airflow has recorded of the questions of a mapped task, and of their answers.

        A question that was cleared keeps its answer in the history of the task: it is there too.

        :return: `hitlDetails` of the REST API, each with the `map_index` and the `try_number` of
            the task that asked
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
        tasks = self._pages(f"{path}/taskInstances", "task_instances", task_id=task_id)
        asked = self._pages(f"{path}/hitlDetails", "hitl_details", task_id=task_id)
        found = {
            (one["task_instance"]["map_index"], one["task_instance"]["try_number"]): one
            for one in asked
        }
        tries = [(t["map_index"], number) for t in tasks for number in range(1, t["try_number"])]
        for index, number in tries:
            earlier = f"{path}/taskInstances/{task_id}/{index}/hitlDetails/tries/{number}"
            answer = self._ask("GET", earlier, allowed=404)
            if answer.status_code != 404:  # it failed before it asked
                found[index, number] = answer.json()
        return [
            {**one, "map_index": index, "try_number": number}
            for (index, number), one in sorted(found.items())
        ]

    def _asset_id(self, name: str) -> int:
        if name not in self._asset_ids:
            found = self._get("/api/v2/assets", name_pattern=name, limit=_PAGE)["assets"]
            self._asset_ids.update({asset["name"]: asset["id"] for asset in found})
        if name not in self._asset_ids:
            raise ServiceUnavailable(
                f"Airflow at {self._url} knows no asset {name!r} yet. The Dag processor registers "
                "it when it parses the Dag files: try again."
            )
        return self._asset_ids[name]

    @cached_property
    def _asset_ids(self) -> dict[str, int]:
        return {}

    def _pages(
        self, path: str, name: str, most: int | None = None, **params: Any
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while most is None or len(found) < most:
            page = self._get(path, **params, limit=_PAGE, offset=len(found))
            found += page[name]
            if len(found) >= page["total_entries"] or not page[name]:
                break
        return found

    def _get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params=params).json()

    def _post(self, path: str, body: dict[str, Any], allowed: int = 200) -> int:
        return self._ask("POST", path, json=body, allowed=allowed).status_code

    def _ask(self, method: str, path: str, allowed: int = 200, **more: Any) -> httpx.Response:
        import httpx

        try:
            answer = self._client.request(method, path, **more)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if answer.is_success or answer.status_code == allowed:
            return answer
        words = f"{method} {path} answers {answer.status_code}: {answer.text[:300]}."
        if answer.status_code in (401, 403):
            raise ConfigError(
                f"Airflow at {self._url}: {words} Give the login of the Airflow connection "
                f"{self.airflow_conn_id!r} the role `op`, on a cluster the role `housekeeping`."
            )
        if answer.status_code in (400, 405, 422):  # a retry sends the same again
            raise ConfigError(f"Airflow at {self._url}: {words} Correct what is asked for.")
        raise ServiceUnavailable(
            f"Airflow at {self._url}: {words} Look at the log of the API server."
        )

    @cached_property
    def _url(self) -> str:
        return address_of(self.get_connection(self.airflow_conn_id))

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        known = self.get_connection(self.airflow_conn_id)
        body = {"username": known.login, "password": known.password}
        try:
            answer = httpx.post(f"{self._url}/auth/token", json=body, timeout=_TIMEOUT_S)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if answer.is_server_error:
            raise ServiceUnavailable(
                f"Airflow at {self._url}: POST /auth/token answers {answer.status_code}. Look at "
                "the log of the API server."
            )
        if not answer.is_success:
            raise ConfigError(
                f"Airflow at {self._url} refuses the login of the Airflow connection "
                f"{self.airflow_conn_id!r} (HTTP {answer.status_code}). Correct it."
            )
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=self._url, headers=headers, timeout=_TIMEOUT_S)

    def _unreachable(self, error: Exception) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"Airflow's REST API at {self._url} does not answer ({type(error).__name__}). Start "
            f"it, or correct the Airflow connection {self.airflow_conn_id!r}."
        )
