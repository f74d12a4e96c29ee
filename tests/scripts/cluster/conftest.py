"""A cluster's settings in a temporary folder, with new secrets."""

from __future__ import annotations

import pytest

from scripts.cluster.settings import ClusterSettings


@pytest.fixture
def settings(tmp_path):
    return ClusterSettings.with_secrets(cluster_home=tmp_path / "home")
