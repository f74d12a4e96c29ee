"""Damaged databases are found before anything opens them, and in words."""

import os
import re
import sqlite3
import subprocess
import sys

import pytest

from include.errors import ConfigError
from scripts.stack import databases
from scripts.stack.__main__ import main

FILES = {"airflow.db": "Dag runs", "mlflow.db": "registered models", "users.db": "permissions"}


@pytest.fixture(params=FILES)
def file(request, settings):
    found = {each.file.name: each.file for each in databases.of_stack(settings)}[request.param]
    found.parent.mkdir(exist_ok=True)
    return found


def fill(file, journal="DELETE"):
    with sqlite3.connect(file) as database:
        database.execute(f"PRAGMA journal_mode={journal}")
        database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, text TEXT)")
        database.executemany("INSERT INTO runs (text) VALUES (?)", [("x" * 500,)] * 500)
        database.execute("CREATE INDEX by_text ON runs (text)")
    database.close()


def garbage(file):
    file.write_bytes(b"this was a database once" * 1000)


def truncated(file):
    fill(file)
    os.truncate(file, file.stat().st_size // 2)


def page_overwritten(file):
    fill(file)
    with file.open("r+b") as pages:
        pages.seek(5 * 4096)
        pages.write(b"\x55" * 4096)


def header_overwritten(file):
    fill(file)
    with file.open("r+b") as pages:
        pages.write(b"\0" * 100)


@pytest.mark.parametrize("damage", [garbage, truncated, page_overwritten, header_overwritten])
def test_up_names_the_damaged_file_the_remedy_and_the_loss(
    settings, file, damage, monkeypatch, capsys
):
    monkeypatch.setenv("FLYWHEEL_HOME", str(settings.home))
    for variable, port in settings.ports.items():
        monkeypatch.setenv(variable, str(port))
    # A database that passes for sound must not start a real stack from here.
    monkeypatch.setattr("scripts.stack.bootstrap.prepare", lambda settings: pytest.fail("passed"))
    damage(file)

    assert main(["up"]) == 1

    said = capsys.readouterr().err
    assert said.startswith(f"{file} is damaged: SQLite says ")
    assert "Restore a backup of it, or move it away" in said
    assert FILES[file.name] in said.partition("Without a backup you lose ")[2]
    assert "sqlalchemy" not in said.lower()
    assert "Traceback" not in said


def test_the_remedy_is_a_command_that_helps(settings, file):
    """The companions go too: a log beside an empty database would be applied to it."""
    garbage(file)
    with pytest.raises(ConfigError) as error:
        databases.check(settings)
    file.with_name(f"{file.name}-wal").write_bytes(b"of the damaged one")

    subprocess.run(re.search(r"`(mkdir .*?)`", str(error.value))[1], shell=True, check=True)  # noqa: S602

    assert list(file.parent.iterdir()) == []
    assert databases.check(settings) is None


def test_several_damaged_files_are_named_at_once(settings):
    for each in databases.of_stack(settings):
        each.file.parent.mkdir(exist_ok=True)
        garbage(each.file)

    with pytest.raises(ConfigError) as error:
        databases.check(settings)

    assert all(
        f"{each.file} is damaged" in str(error.value) for each in databases.of_stack(settings)
    )


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_sound_database_passes_and_keeps_its_content(settings, file, journal):
    fill(file, journal)

    assert databases.check(settings) is None
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (500,)
    database.close()


def test_what_does_not_exist_or_is_empty_passes_and_is_not_made(settings, file):
    assert databases.check(settings) is None
    assert not file.exists()

    file.touch()
    assert databases.check(settings) is None


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_what_a_kill_9_left_half_written_is_rolled_back_and_no_damage(settings, file, journal):
    fill(file, journal)
    code = (
        "import os, signal, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size=1')\n"  # so that it writes before it commits
        "database.execute('BEGIN')\n"
        "database.execute('UPDATE runs SET text = hex(randomblob(250))')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], check=False)
    assert list(file.parent.glob(f"{file.name}-*")), "it left a journal"

    assert databases.check(settings) is None
    with sqlite3.connect(file) as database:
        query = "SELECT count(*) FROM runs WHERE text LIKE 'xxx%'"
        assert database.execute(query).fetchone() == (500,)
    database.close()


def test_a_file_that_cannot_be_opened_is_not_called_damaged(settings, file):
    file.mkdir()  # for root, who may read everything, this stands for a lack of rights

    with pytest.raises(ConfigError) as error:
        databases.check(settings)

    assert f"{file} cannot be opened: unable to open database file." in str(error.value)
    assert "damaged" not in str(error.value)
