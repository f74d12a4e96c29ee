"""A home of an earlier version is recognised, and refused with the remedy."""

import pytest

from include.errors import ConfigError
from scripts.stack import layout
from scripts.stack.stack import Stack


def test_a_new_home_gets_the_number_and_is_opened_again(settings):
    (settings.home / "layout").unlink(missing_ok=True)
    assert layout.read(settings) in (None, 1)  # of the fixture, which has no database
    layout.write(settings)

    layout.check(settings)

    assert (settings.home / "layout").read_text() == "2\n"


@pytest.mark.parametrize("left", ["airflow/airflow.db", "lake/flight_delays/raw/_delta_log"])
def test_a_home_without_a_number_is_of_the_first_layout(settings, left):
    (settings.home / "layout").unlink(missing_ok=True)
    (settings.home / left).parent.mkdir(parents=True, exist_ok=True)
    (settings.home / left).touch()

    with pytest.raises(
        ConfigError, match="has layout 1, and this version of Flywheel needs"
    ) as told:
        layout.check(settings)

    assert f"mv {settings.home} {settings.home}.old" in str(told.value)
    assert "CHANGELOG.md, Upgrade" in str(told.value)


@pytest.mark.parametrize("text", ["1", "3", "", "two"])
def test_another_number_is_refused(settings, text):
    (settings.home / "layout").write_text(text)

    with pytest.raises(ConfigError, match="needs layout 2"):
        layout.check(settings)


def test_up_refuses_an_older_home_before_it_changes_anything(settings):
    (settings.home / "layout").unlink(missing_ok=True)
    database = settings.airflow_home / "airflow.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    database.write_bytes(b"")
    before = sorted(path.name for path in settings.home.iterdir())

    with pytest.raises(ConfigError, match="has layout 1"):
        Stack(settings, say=lambda line: None).up()

    assert sorted({*before, "run"}) == sorted(path.name for path in settings.home.iterdir())
    assert database.read_bytes() == b""
