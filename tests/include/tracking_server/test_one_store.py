"""A location is the store's own, or it is refused."""

from __future__ import annotations

import pytest

from include.tracking_server.one_store import _is_proxied, is_inside


@pytest.mark.parametrize(
    ("uri", "inside"),
    [
        ("{store}", True),
        ("{store}/1/run/artifacts", True),
        ("file://{store}/1", True),
        ("file:{store}/1", True),
        ("{store}-other", False),
        ("{store}/../dags", False),
        ("file://{store}/%2e%2e/dags", False),
        ("file://elsewhere{store}", False),
        ("{store}/link/dags", False),
        ("/", False),
        ("", False),
        ("relative", False),
        ("s3://bucket/{store}", False),
        ("http://127.0.0.1/{store}", False),
        ("mlflow-artifacts:/1", False),
    ],
)
def test_inside_a_folder(tmp_path, uri, inside):
    store = tmp_path / "store"
    store.mkdir()
    (tmp_path / "dags").mkdir()
    (store / "link").symlink_to(tmp_path)

    assert is_inside(uri.format(store=store), str(store)) is inside


@pytest.mark.parametrize(
    ("uri", "inside"),
    [
        ("s3://bucket/mlflow", True),
        ("s3://bucket/mlflow/", True),
        ("s3://bucket/mlflow/1/run", True),
        ("s3://bucket/mlflow2", False),
        ("s3://bucket/mlflow/../lake", False),
        ("s3://bucket/mlflow/%2e%2e/lake", False),
        ("s3://bucket/mlflow/1?endpoint=http://evil", False),
        ("s3://other/mlflow/1", False),
        ("gs://bucket/mlflow/1", False),
        ("/bucket/mlflow/1", False),
    ],
)
def test_inside_a_bucket(uri, inside):
    assert is_inside(uri, "s3://bucket/mlflow") is inside


@pytest.mark.parametrize(
    ("location", "proxied"),
    [
        ("mlflow-artifacts:/", True),
        ("mlflow-artifacts:/team/a", True),
        ("mlflow-artifacts://evil/a", False),
        ("mlflow-artifacts:///a", False),
        ("mlflow-artifacts:/a/../../b", False),
        ("mlflow-artifacts:/a/%2e%2e/b", False),
        ("mlflow-artifacts:/a?x=1", False),
        ("file:///repo/dags", False),
        ("/repo/dags", False),
        ("s3://bucket", False),
    ],
)
def test_what_an_experiment_may_name(location, proxied):
    assert _is_proxied(location) is proxied
