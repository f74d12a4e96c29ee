"""A Celery worker whose disk is full takes no tasks.

On a full disk a task fails within a second, because not even its log can be written. The worker is
then free for the next one, and so takes most of what there is, until its retries are used up.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from include.settings import Settings

LEAST_FREE_MIB = 32
"""Room for the logs of the tasks that run (a megabyte each at most) and for a small model package.
What needs more, such as a large training set, says itself that the disk is full."""
LOOK_EVERY_S = 5.0

log = logging.getLogger(__name__)


class DiskWatch:
    """Stop and start the consumption of a worker's queues.

    :param consumer: Celery's consumer
    :param home: a folder on the disk
    """

    def __init__(self, consumer: Any, home: Path) -> None:
        self._consumer = consumer
        self._home = home
        self._stopped: list[str] = []

    def look(self) -> None:
        """Compare the free space with the least."""
        free_mib = shutil.disk_usage(self._home).free / 2**20
        if free_mib < LEAST_FREE_MIB and not self._stopped:
            self._stop(free_mib)
        elif free_mib >= LEAST_FREE_MIB and self._stopped:
            self._start()

    def _stop(self, free_mib: float) -> None:
        self._stopped = sorted(self._consumer.app.amqp.queues.consume_from)
        for name in self._stopped:
            self._consumer.cancel_task_queue(name)
        log.error(
            "%s has %.0f MiB left, less than %d: this worker takes no more tasks until there is "
            "room. Remove what is not needed, or give it a larger disk.",
            self._home, free_mib, LEAST_FREE_MIB,
        )  # fmt: skip

    def _start(self) -> None:
        queues = self._consumer.app.amqp.queues
        for name in self._stopped:
            queues.select_add(queues[name])  # or it would be forgotten when the broker is lost
            self._consumer.add_task_queue(name)
        log.info("%s has room again: this worker takes tasks of %s", self._home, self._stopped)
        self._stopped = []


def watch(sender: Any, **_: object) -> None:
    """Look now and then, in the worker's own loop: its channels are not safe for threads."""
    found = DiskWatch(sender, Settings.from_env().home)
    found.look()
    sender.timer.call_repeatedly(LOOK_EVERY_S, found.look)
