"""A worker takes no tasks while its disk is full, and takes them again afterwards."""

from __future__ import annotations

import logging
import shutil
from collections import namedtuple

import pytest
from celery import Celery
from celery.signals import worker_ready

from plugins import celery_settings, worker_disk
from plugins.worker_disk import LEAST_FREE_MIB, LOOK_EVERY_S, DiskWatch

Usage = namedtuple("Usage", "free")


class Timer:
    """Keeps what is to be called."""

    def __init__(self):
        self.calls = []

    def call_repeatedly(self, seconds, call):
        self.calls.append((seconds, call))


class Consumer:
    """Celery's consumer as far as it is used; the queues are Celery's own."""

    def __init__(self):
        self.app = Celery(broker="memory://", set_as_current=False)
        self.app.amqp.queues.select(["default", "train"])
        self.timer = Timer()
        self.consumes = {"default", "train"}

    def cancel_task_queue(self, name):
        self.app.amqp.queues.deselect(name)
        self.consumes.discard(name)

    def add_task_queue(self, name):
        self.consumes.add(name)


@pytest.fixture
def free_mib(monkeypatch):
    """Return a dictionary whose `mib` is what the disk has left."""
    left = {"mib": 10_000.0}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(int(left["mib"] * 2**20)))
    return left


@pytest.fixture
def consumer():
    return Consumer()


def test_it_stops_below_the_least_and_says_so_once(tmp_path, consumer, free_mib, caplog):
    watch = DiskWatch(consumer, tmp_path)
    free_mib["mib"] = LEAST_FREE_MIB
    watch.look()
    assert consumer.consumes == {"default", "train"}

    free_mib["mib"] = LEAST_FREE_MIB - 1
    for _ in range(3):
        watch.look()

    assert consumer.consumes == set()
    (said,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert f"{tmp_path} has 31 MiB left" in said.getMessage()


def test_it_takes_tasks_of_the_same_queues_again(tmp_path, consumer, free_mib):
    watch = DiskWatch(consumer, tmp_path)
    free_mib["mib"] = 0
    watch.look()
    free_mib["mib"] = LEAST_FREE_MIB
    watch.look()

    assert consumer.consumes == {"default", "train"}
    # What a worker consumes from after it has lost the broker.
    assert set(consumer.app.amqp.queues.consume_from) == {"default", "train"}

    free_mib["mib"] = 0
    watch.look()
    assert consumer.consumes == set()


def test_a_worker_that_is_ready_looks_at_its_home_at_once_and_then_again(
    tmp_path, consumer, free_mib, monkeypatch
):
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    free_mib["mib"] = 1
    assert celery_settings.worker_disk is worker_disk

    worker_ready.send(sender=consumer)

    assert consumer.consumes == set()
    ((seconds, look),) = consumer.timer.calls
    assert seconds == LOOK_EVERY_S
    free_mib["mib"] = 100
    look()
    assert consumer.consumes == {"default", "train"}
