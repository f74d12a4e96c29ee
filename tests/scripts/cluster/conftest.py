"""A cluster's settings in a temporary folder, with new secrets."""

from __future__ import annotations

import os
import pwd

import pytest

from scripts.cluster import services
from scripts.cluster.settings import ClusterSettings


@pytest.fixture
def settings(tmp_path):
    return ClusterSettings.with_secrets(cluster_home=tmp_path / "home")


@pytest.fixture
def installed(monkeypatch):
    """Pretend that the services' packages are installed: their programs, and their users."""
    monkeypatch.setattr(services, "tool", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(services, "_account", lambda name: pwd.getpwuid(os.geteuid()))
