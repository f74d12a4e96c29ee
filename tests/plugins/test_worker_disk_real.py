"""A real Celery worker at a real Redis takes no tasks while its disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery

from include.errors import ConfigError
from scripts.cluster import services
from scripts.cluster.settings import ClusterSettings
from scripts.stack.settings import REPO
from tests.support.waiting import until


@contextmanager
def redis_at(port: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    try:
        program = services.tool("redis-server")
    except ConfigError:
        pytest.skip("Redis is not installed; `make cluster-install` installs it")
    command = [program, "--port", port, "--dir", str(folder), "--appendonly", "yes"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_with_a_full_disk_leaves_tasks_to_others(tmp_path):
    port = ClusterSettings.free_ports()["FLYWHEEL_REDIS_PORT"]
    free, log = tmp_path / "free", tmp_path / "log"
    free.write_text("1000")
    broker = f"redis://127.0.0.1:{port}/0"
    env = {**os.environ, "BROKER": broker, "FREE_MIB": str(free), "FLYWHEEL_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "celery", "-A", "tests.support.celery_worker", "worker"]
    command += ["--queues", "default", "--concurrency", "1", "--loglevel", "INFO"]
    app = Celery(broker=broker, set_as_current=False)
    app.conf.task_default_queue = "default"

    def ask(name):
        file = tmp_path / name
        app.send_task("touch", [str(file)], ignore_result=True)
        return file

    def said(words):
        return until(lambda: words in log.read_text(), within_s=60)

    with redis_at(port, tmp_path), log.open("wb") as output:
        worker = subprocess.Popen(command, cwd=REPO, env=env, stdout=output, stderr=output)
        try:
            first = ask("first")
            assert until(first.exists, within_s=120)

            free.write_text("31")
            assert said("31 MiB left, less than 32")
            waiting = ask("waiting")
            assert not until(waiting.exists, within_s=4)

            free.write_text("32")
            assert said("has room again")
            assert until(waiting.exists, within_s=60)
            last = ask("last")
            assert until(last.exists, within_s=60)
        finally:
            app.close()
            worker.terminate()
            worker.wait(timeout=60)
