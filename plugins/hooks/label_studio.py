"""The way to Label Studio: projects, tasks, pictures and annotations by its REST API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from include.errors import ConfigError, ServiceUnavailable
from plugins.hooks.label_studio_api import LabelStudioApi

PAGE = 100
"""Tasks of one answer: with their annotations half a MB, boxes included."""
_AT_ONCE = 50
"""Pictures, or tasks, of one request. Label Studio takes at most 100 files."""
_PICTURES = "Flywheel: pictures, not to be labelled"
"""Title of the project that holds pictures. Label Studio takes a picture as a file only into a
project whose interface shows one field of a task at most; ours show a card beside it."""
MARK = "Made by Flywheel, which changes its interface and deletes tasks that nobody has answered."
"""Description of the projects that this hook makes: others of the same title are left alone."""


class LabelStudioHook(LabelStudioApi):
    """Makes projects, sends tasks and reads annotations."""

    def ensure_project(self, title: str, interface: str, annotators: int) -> int:
        """Find the project of this title, or make it; return its id.

        :param title: 3 to 50 characters
        :param interface: its labelling interface, XML; another one is replaced
        :param annotators: annotations after which a task is shown to nobody any more
        :raises ConfigError: there is only one that somebody else has made
        """
        wanted = {"label_config": interface, "maximum_annotations": annotators}
        found = self._project(title)
        if found is None:
            new = {"title": title, "description": MARK, **wanted}
            made = self.ask("POST", "api/projects/", json=new)
            # Label Studio allows two of one title: of two that were made at once the first stays.
            found = self._project(title) or made
            if found["id"] != made["id"]:
                self.ask("DELETE", f"api/projects/{made['id']}/", gone={})
        if any(found[name] != value for name, value in wanted.items()):
            self.ask("PATCH", f"api/projects/{found['id']}/", json=wanted)
        return int(found["id"])

    def existing_project(self, title: str) -> int:
        """Find the project of this title.

        :raises DataContractError: there is none any more
        :raises ConfigError: there is only one that somebody else has made
        """
        found = self._project(title)
        if found is None:
            raise self.lost(f"there is no project {title!r}")
        return int(found["id"])

    def _project(self, title: str) -> dict[str, Any] | None:
        """Find the project of this title that Flywheel has made; of several the first."""
        page, named = 1, []
        while True:
            asked = {"title": title, "page": page, "page_size": PAGE}
            answer = self.ask("GET", "api/projects/", params=asked)
            # The filter finds titles that contain it, too.
            named += [project for project in answer["results"] if project["title"] == title]
            if not answer["next"]:
                break
            page += 1
        ours = [project for project in named if project.get("description") == MARK]
        if named and not ours:
            raise ConfigError(
                f"Label Studio at {self.url}: somebody else has made the project "
                f"{named[0]['id']}, {title!r}, so Flywheel leaves it alone. Rename it there, and "
                "clear this task. If Flywheel shall have it, make its description "
                f"{MARK!r}."
            )
        return min(ours, key=lambda project: int(project["id"]), default=None)

    def upload(self, pictures: Mapping[str, str], read: Callable[[str], bytes]) -> dict[str, str]:
        """Upload PNG files; return the address of each within Label Studio, by name.

        At most 50 are in memory at a time.

        :param pictures: path by name; names are letters, digits and hyphens
        :param read: gives the content of a path
        """
        project = self.ensure_project(_PICTURES, "<View></View>", 1) if pictures else 0
        found: dict[str, str] = {}
        names = list(pictures)
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            files = [(name, (f"{name}.png", read(pictures[name]), "image/png")) for name in some]
            # By default each file would become a task.
            asked = {"commit_to_project": "false"}
            path = f"api/projects/{project}/import"
            ids = self.ask("POST", path, params=asked, files=files)["file_upload_ids"]
            # Label Studio puts a number of its own before each name, and keeps the order.
            held = {
                each["id"]: each["file"]
                for each in self.ask(
                    "GET", f"api/projects/{project}/file-uploads", params={"ids": json.dumps(ids)}
                )
            }
            for name, number in zip(some, ids, strict=True):
                if not held[number].endswith(f"-{name}.png"):
                    raise ServiceUnavailable(
                        f"Label Studio at {self.url} returned the picture {held[number]!r} where "
                        f"{name}.png was sent. Nothing was sent to annotators: try again."
                    )
                found[name] = f"/data/{held[number]}"
        return found

    def send(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> int:
        """Import tasks; return how many.

        :param tasks: `data` of each, and `predictions`, which are shown to annotators
        """
        for start in range(0, len(tasks), _AT_ONCE):
            some = list(tasks[start : start + _AT_ONCE])
            self.ask("POST", f"api/projects/{project}/import", json=some)
        return len(tasks)

    def tasks(self, project: int, round_key: str) -> Iterator[dict[str, Any]]:
        """Read the tasks of a round with their annotations, by ascending id, a page at a time.

        A page begins after the last id of the one before: what is added or deleted meanwhile
        shifts nothing, and memory holds one page.

        :param project: id of the project
        :param round_key: `round` of the tasks' data
        """
        return self._pages(project, round_key, fields="all")

    def progress(self, project: int, round_key: str, annotators: int) -> tuple[int, bool]:
        """Tell how many tasks a round has, and whether each was answered often enough.

        A skip is an answer. Costs two requests while tasks without an annotation are left, however
        large the round.

        :param annotators: answers that are wanted for each task
        """
        all_of_it = self._query([_of(round_key)])
        total = self.ask(
            "GET", "api/tasks/", params={**all_of_it, "project": project, "page_size": 1}
        )
        few = _filter("filter:tasks:total_annotations", "less", "Number", annotators)
        for task in self._pages(project, round_key, few, fields="task_only"):
            if task["total_annotations"] + task["cancelled_annotations"] < annotators:
                return int(total["total"]), False
        return int(total["total"]), True

    def _pages(
        self, project: int, round_key: str, *more: dict[str, object], fields: str
    ) -> Iterator[dict[str, Any]]:
        last = 0
        while True:
            after = _filter("filter:tasks:id", "greater", "Number", last)
            query = self._query([after, _of(round_key), *more])
            asked = {**query, "project": project, "page_size": PAGE, "fields": fields}
            page = self.ask("GET", "api/tasks/", params=asked)["tasks"]
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1]["id"]

    @staticmethod
    def _query(filters: list[dict[str, object]]) -> dict[str, str]:
        chosen = {"conjunction": "and", "items": filters}
        return {"query": json.dumps({"filters": chosen, "ordering": ["tasks:id"]})}

    def discard_unanswered(self, task_id: int) -> bool:
        """Delete a task that nobody has answered; False where somebody has, or it is gone.

        An answer that is given between the look and the deletion, a few milliseconds, is refused
        by Label Studio before the annotator's eyes, or lost with the task.
        """
        task = self.ask("GET", f"api/tasks/{task_id}/", gone={})
        if not task or task["annotations"] or task.get("drafts"):
            return False
        self.ask("DELETE", f"api/tasks/{task_id}/", gone={})
        return True

    def annotators(self) -> dict[int, str]:
        """Give the mail address of each user that has one, by id: annotations hold the id alone."""
        found: dict[int, str] = {}
        page = 1
        while True:
            # All users come as one list; editions that are sold give pages.
            answer = self.ask("GET", "api/users/", params={"page": page})
            users = answer.get("results") if isinstance(answer, dict) else answer
            if not isinstance(users, list):
                raise ServiceUnavailable(
                    f"Label Studio at {self.url}: GET api/users/ answers no list of users. Look at "
                    "its log."
                )
            found |= {user["id"]: user["email"] for user in users if user.get("email")}
            if not isinstance(answer, dict) or not answer.get("next"):
                return found
            page += 1


def _filter(name: str, operator: str, kind: str, value: object) -> dict[str, object]:
    return {"filter": name, "operator": operator, "type": kind, "value": value}


def _of(round_key: str) -> dict[str, object]:
    return _filter("filter:tasks:data.round", "equal", "String", round_key)
