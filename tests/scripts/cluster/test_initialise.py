"""What the first job of a cluster leaves behind, as far as it needs no Postgres."""

from __future__ import annotations

import pytest
from airflow.models.variable import Variable

from plugins.operators.base import REVISION
from scripts.cluster import initialise


@pytest.fixture
def variables(monkeypatch):
    """Keep Airflow's variables in a dictionary, with the revision of the former start."""
    held = {REVISION: "before", "other": "1"}
    monkeypatch.setattr(
        Variable, "set", lambda key, value, description=None: held.update({key: value})
    )
    monkeypatch.setattr(Variable, "delete", lambda key: held.pop(key, None))
    return held


def test_the_revision_of_an_image_is_what_workers_must_run(variables):
    initialise.announce_revision("abc123")
    assert variables == {REVISION: "abc123", "other": "1"}


def test_where_code_has_no_revision_none_is_asked_of_workers(variables):
    initialise.announce_revision("")
    assert variables == {"other": "1"}
