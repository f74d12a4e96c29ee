"""A small Label Studio: the part of its REST API that the hook uses, without its database.

`tests/labelling` holds the real one against the same expectations.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "header.personal-access.signature"
_OPERATORS = {
    "equal": lambda held, wanted: held == wanted,
    "greater": lambda held, wanted: held > wanted,
    "less": lambda held, wanted: held < wanted,
}


@dataclass
class LabelStudio:
    """What it holds, and how it misbehaves.

    Attributes
    ----------
    fail : list of int
        Statuses with which the next requests are answered; 0 closes the connection, 1 sends a page
        of HTML.
    hang_s : float
        Seconds before each answer.
    ends_after : int
        Requests after which a short token ends.
    """

    url: str = ""
    projects: dict[int, dict[str, Any]] = field(default_factory=dict)
    held: dict[int, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[int, str] = field(default_factory=dict)
    users: list[dict[str, Any]] = field(default_factory=lambda: [{"id": 1, "email": "ann@x"}])
    asked: list[tuple[str, str]] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    hang_s: float = 0.0
    ends_after: int = 1_000_000
    short: int = 0
    used: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def restart_empty(self) -> None:
        """Lose everything, as a container without its volume does."""
        self.projects, self.held, self.uploads = {}, {}, {}

    def annotate(self, task_id: int, *classes: str, by: int | None = 1, **more: Any) -> int:
        """Add an annotation as its page does; return its id."""
        task = self.held[task_id]
        result = [
            {
                "from_name": "label",
                "to_name": "card",
                "type": "choices",
                "value": {"choices": [each]},
            }
            for each in classes
        ]
        number = 1000 * task_id + len(task["annotations"])
        task["annotations"].append(
            {"id": number, "result": result, "completed_by": by, "was_cancelled": False,
             "updated_at": "2026-01-02T03:04:05.000006Z", **more}
        )  # fmt: skip
        return number

    def answer(self, method: str, path: str, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        """Answer a request that carries a token that is valid."""
        if path == "/api/projects/":
            return self._make(body) if method == "POST" else self._listed(asked)
        if found := re.fullmatch(r"/api/projects/(\d+)/(import|file-uploads|)", path):
            return self._project(method, int(found[1]), found[2], asked, body)
        if path == "/api/tasks/":
            return self._tasks(asked)
        if found := re.fullmatch(r"/api/tasks/(\d+)/", path):
            return self._task(method, int(found[1]))
        return (200, self.users) if path == "/api/users/" else (404, None)

    def _project(
        self, method: str, project: int, what: str, asked: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if project not in self.projects:
            return 404, {"detail": "No Project matches the given query."}
        if what == "import":
            return self._import(project, asked, body)
        if what == "file-uploads":
            ids = json.loads(asked["ids"])
            # In another order than asked for.
            return 200, [{"id": each, "file": self.uploads[each]} for each in reversed(ids)]
        if method == "DELETE":
            del self.projects[project]
            return 204, None
        self.projects[project].update(body)
        return 200, self.projects[project]

    def _task(self, method: str, number: int) -> tuple[int, Any]:
        if number not in self.held:
            return 404, {"detail": "No Task matches the given query."}
        if method == "DELETE":
            del self.held[number]
            return 204, None
        return 200, self.held[number]

    def _make(self, body: dict[str, Any]) -> tuple[int, Any]:
        if not 3 <= len(body["title"]) <= 50:
            return 400, {"detail": "Validation error", "validation_errors": {"title": ["length"]}}
        number = max(self.projects, default=0) + 1
        self.projects[number] = {"id": number, **body}
        return 201, self.projects[number]

    def _listed(self, asked: dict[str, str]) -> tuple[int, Any]:
        found = [p for p in self.projects.values() if asked["title"] in p["title"]]
        size, page = 2, int(asked["page"])  # small pages, so that there are several
        some = found[size * (page - 1) : size * page]
        return 200, {"results": some, "next": "more" if size * page < len(found) else None}

    def _import(self, project: int, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        if asked.get("commit_to_project") == "false":
            config = self.projects[project]["label_config"]
            if len(re.findall(r'value="\$', config)) > 1:
                return 400, {"detail": "direct file upload supports only one data key"}
            ids = []
            for name in body:
                ids.append(len(self.uploads) + 1)
                self.uploads[ids[-1]] = f"upload/{project}/{ids[-1]:08x}-{name}"
            return 201, {"file_upload_ids": ids}
        for each in body:
            number = max(self.held, default=0) + 1
            self.held[number] = {"id": number, "project": project, **each, "annotations": []}
            for annotation in each.get("annotations", ()):
                self.annotate(number, **annotation)
        return 201, {"task_count": len(body)}

    def _tasks(self, asked: dict[str, str]) -> tuple[int, Any]:
        if int(asked["project"]) not in self.projects:
            return 404, {"detail": "No Project matches the given query."}
        query = json.loads(asked["query"])
        assert query["ordering"] == ["tasks:id"]
        found = [
            task
            for _, task in sorted(self.held.items())
            if task["project"] == int(asked["project"])
            and all(self._fits(task, each) for each in query["filters"]["items"])
        ]
        some = found[: int(asked["page_size"])]
        return 200, {"tasks": [self._shown(task) for task in some], "total": len(found)}

    def _fits(self, task: dict[str, Any], chosen: dict[str, Any]) -> bool:
        name = chosen["filter"].removeprefix("filter:tasks:")
        shown = self._shown(task)
        held = task["data"][name[5:]] if name.startswith("data.") else shown[name]
        return bool(_OPERATORS[chosen["operator"]](held, chosen["value"]))

    @staticmethod
    def _shown(task: dict[str, Any]) -> dict[str, Any]:
        cancelled = sum(each["was_cancelled"] for each in task["annotations"])
        total = len(task["annotations"]) - cancelled
        return {**task, "total_annotations": total, "cancelled_annotations": cancelled}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    studio: LabelStudio

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        url = urlsplit(self.path)
        studio = self.studio
        studio.asked.append((self.command, url.path))
        time.sleep(studio.hang_s)
        status = studio.fail.pop(0) if studio.fail else None
        if status == 0:
            self.close_connection = True
            return
        if status == 1:
            return self._send(200, b"<html>Be back soon</html>")
        if status is not None:
            return self._send(status, json.dumps({"detail": "it failed"}).encode())
        if url.path == "/api/token/refresh/":
            if json.loads(content) != {"refresh": PERSONAL}:
                return self._send(401, b'{"detail": "Token is invalid"}')
            studio.short, studio.used = studio.short + 1, 0
            return self._send(200, json.dumps({"access": f"short-{studio.short}"}).encode())
        if not self._may():
            return self._send(401, b'{"detail": "Invalid token."}')
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        with studio.lock:
            status, said = studio.answer(self.command, url.path, asked, self._body(content))
        self._send(status, b"" if said is None else json.dumps(said).encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815 - the names of http.server

    def _may(self) -> bool:
        self.studio.used += 1
        short = f"Bearer short-{self.studio.short}"
        given = self.headers["Authorization"]
        return given == f"Token {TOKEN}" or (
            given == short and self.studio.used <= self.studio.ends_after
        )

    def _body(self, content: bytes) -> Any:
        if "multipart" in (self.headers["Content-Type"] or ""):
            return [name.decode() for name in re.findall(rb'filename="([^"]+)"', content)]
        return json.loads(content) if content else None

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        with suppress(BrokenPipeError, ConnectionResetError):  # who asked has given up
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def label_studio() -> Iterator[LabelStudio]:
    """Run one on a free port."""
    studio = LabelStudio()
    handler = type("Handler", (_Handler,), {"studio": studio})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    studio.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield studio
    finally:
        server.shutdown()
        server.server_close()
