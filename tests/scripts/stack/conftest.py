"""A stack's settings in a temporary folder, on free ports, with its secrets made."""

from __future__ import annotations

import pytest

from scripts.stack import secret_files
from scripts.stack.settings import StackSettings


@pytest.fixture
def settings(tmp_path):
    settings = StackSettings.on_free_ports(tmp_path / "home")
    secret_files.ensure(settings)
    for folder in (settings.logs, settings.run):
        folder.mkdir()
    return settings
