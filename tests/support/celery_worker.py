"""A Celery application whose worker looks at a disk that a file pretends: see its test."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

from celery import Celery
from celery.signals import worker_ready

from plugins import worker_disk

Usage = namedtuple("Usage", "free")

app = Celery(broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
app.conf.task_default_queue = "default"
app.conf.task_acks_late = True
app.conf.worker_prefetch_multiplier = 1


@app.task(name="touch")
def touch(file: str) -> None:
    """Leave a trace."""
    Path(file).touch()


free_mib = Path(os.environ["FREE_MIB"])
shutil.disk_usage = lambda _: Usage(float(free_mib.read_text()) * 2**20)  # type: ignore[assignment]
worker_disk.LOOK_EVERY_S = 0.2
worker_ready.connect(worker_disk.watch)
