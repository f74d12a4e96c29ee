"""A user's password is what the environment says, at each start; MLflow's own store of users."""

from __future__ import annotations

import pytest
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

from include.tracking_server.__main__ import _ensure


@pytest.fixture
def store(tmp_path) -> SqlAlchemyStore:
    made = SqlAlchemyStore()
    made.init_db(f"sqlite:///{tmp_path}/users.db")
    return made


def test_a_new_password_takes_the_place_of_the_former_one(store):
    _ensure(store, "pipeline", "the-former-password")
    _ensure(store, "pipeline", "another-password")
    assert store.authenticate_user("pipeline", "another-password")
    assert not store.authenticate_user("pipeline", "the-former-password")


def test_the_same_password_changes_nothing(store):
    _ensure(store, "pipeline", "the-former-password")
    before = store.get_user("pipeline").password_hash
    _ensure(store, "pipeline", "the-former-password")
    assert store.get_user("pipeline").password_hash == before
