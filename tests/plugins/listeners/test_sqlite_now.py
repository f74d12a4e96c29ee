"""What is changed for SQLite stays as it was for Postgres."""

from __future__ import annotations

import pytest
from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite

from plugins.listeners import sqlite_now


@pytest.fixture(autouse=True)
def registered():
    sqlite_now.register()


def test_sqlites_now_has_fractions_of_a_second():
    assert "%f" in str(func.now().compile(dialect=sqlite.dialect()))


def test_the_now_of_postgres_is_its_own():
    assert str(func.now().compile(dialect=postgresql.dialect())) == "now()"
