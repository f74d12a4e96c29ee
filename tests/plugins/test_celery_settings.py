"""A Celery worker imports libraries before it forks, and nobody else does."""

from __future__ import annotations

import pytest
from airflow.configuration import conf
from airflow.providers.celery.executors import celery_executor_utils
from celery import Celery
from celery.apps.worker import Worker
from celery.signals import worker_init

from plugins import celery_settings
from plugins.listeners.warm_tasks import MODULES
from scripts.cluster.environment import environment
from scripts.cluster.settings import ClusterSettings


@pytest.fixture
def warmed(monkeypatch):
    """Record what would be imported."""
    found: list[list[str]] = []
    monkeypatch.setattr(celery_settings, "warm", lambda modules: found.append(list(modules)))
    return found


def test_a_worker_that_starts_imports_the_libraries_of_the_tasks(warmed):
    app = Celery(broker="memory://", set_as_current=False)

    Worker(app=app, pool="solo", quiet=True).on_before_init(quiet=True)  # as the command does

    assert warmed == [list(MODULES)]


def test_it_can_be_switched_off(monkeypatch, warmed):
    monkeypatch.setenv("FLYWHEEL_WARM_TASKS", "0")

    worker_init.send(sender=None)

    assert warmed == []


def test_who_only_sends_tasks_imports_nothing(warmed):
    Celery(broker="memory://", set_as_current=False).send_task("x", ignore_result=True)

    assert warmed == []


def test_libraries_alone_are_imported():
    """Our own code is read anew by each task: a worker that runs on must not hold an old one."""
    assert not [name for name in MODULES if name.split(".")[0] in ("include", "plugins", "dags")]


def test_airflow_finds_it_by_the_name_in_the_clusters_settings(monkeypatch, tmp_path):
    found = environment("worker", ClusterSettings.with_secrets(), tmp_path)
    name = found["AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS"]
    monkeypatch.setenv("AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS", name)
    celery_executor_utils.get_celery_configuration.cache_clear()
    try:
        assert celery_executor_utils.get_celery_configuration() is celery_settings.CONFIG
        assert conf.get("celery", "celery_config_options") == name
    finally:
        celery_executor_utils.get_celery_configuration.cache_clear()
