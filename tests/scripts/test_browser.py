"""The browser of the tests: found, or installed, or the command is named that installs it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from include.errors import ConfigError
from scripts import browser, debian


def test_a_browser_that_is_there_is_not_installed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    monkeypatch.setattr(debian, "install", lambda *given: pytest.fail("it is there"))
    assert browser.install() == "/somewhere/chromium"


def test_without_root_the_command_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match=r"sudo apt-get install .* chromium"):
        browser.install()


@pytest.mark.parametrize("fails", [FileNotFoundError, 100], ids=["no apt-get", "a failure"])
def test_what_apt_says_is_told(monkeypatch, fails):
    def run(command, **more):
        if fails is FileNotFoundError:
            raise FileNotFoundError
        return subprocess.CompletedProcess(command, fails, "", "E: no such package")

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "run", run)
    words = "there is no apt-get" if fails is FileNotFoundError else "update` failed: E: no such"
    with pytest.raises(ConfigError, match=words):
        browser.install()


def test_what_is_installed_is_found(monkeypatch):
    there = []
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/chromium" if there else None)
    monkeypatch.setattr(debian, "install", lambda packages, whom: there.extend(packages))
    assert browser.install() == "/usr/bin/chromium"
    assert there == ["chromium"]
