"""A home of an earlier version is recognised, and refused with the remedy."""

import pyarrow as pa
import pytest

from include.errors import ConfigError
from include.lake.table import Lake, Writer
from scripts.stack import layout
from scripts.stack.stack import Stack


def test_a_new_home_gets_the_number_and_is_opened_again(settings):
    (settings.home / "layout").unlink(missing_ok=True)
    assert layout.read(settings) in (None, 1)  # of the fixture, which has no database
    layout.write(settings)

    layout.check(settings)

    assert (settings.home / "layout").read_text() == "4\n"


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


@pytest.mark.parametrize("text", ["1", "2", "3", "5", "", "two"])
def test_another_number_is_refused(settings, text):
    (settings.home / "layout").write_text(text)

    with pytest.raises(ConfigError, match="needs layout 4"):
        layout.check(settings)


def test_a_home_of_the_layout_before_is_refused_whole(settings):
    """As the version before left it: a number, a lake with rows, a promotion ledger, a database."""
    (settings.home / "layout").write_text("3\n")
    lake = Lake(str(settings.home / "lake"))
    schema = pa.schema([("a", pa.int64())])
    lake.table("flight_delays", "raw").publish(
        pa.table([[1]], schema=schema),
        partition="2013-01",
        schema=schema,
        writer=Writer("run", 1, 1, "test"),
    )
    lake.table("flight_delays", "promotions").append(
        pa.table([[1]], schema=schema),
        partition="ledger",
        schema=schema,
        app_id="ledger",
        sequence=1,
        kept=True,
    )
    (settings.airflow_home).mkdir(parents=True, exist_ok=True)
    (settings.airflow_home / "airflow.db").write_bytes(b"")
    left = {path: path.read_bytes() for path in settings.home.rglob("*") if path.is_file()}

    with pytest.raises(ConfigError, match=r"has layout 3, .* needs layout 4") as told:
        Stack(settings, say=lambda line: None).up()

    assert f"{settings.home}.old/landing when you copy it to the new home" in str(told.value)
    now = {path: path.read_bytes() for path in settings.home.rglob("*") if path.is_file()}
    assert {path: now[path] for path in left} == left
    assert all(path.is_relative_to(settings.home / "run") for path in now.keys() - left.keys())


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
