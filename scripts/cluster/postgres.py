"""Connections to a cluster's Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.cluster.settings import ClusterSettings

if TYPE_CHECKING:
    from psycopg import Connection

ADMIN = "postgres"
"""The superuser, and the database that every server has."""


def connect(
    settings: ClusterSettings, database: str = ADMIN, user: str = ADMIN, timeout_s: int = 30
) -> Connection[tuple[Any, ...]]:
    """Connect to a database; each statement is committed by itself.

    Parameters
    ----------
    settings
        Where the server is, and the passwords.
    database
        Its name.
    user
        `ADMIN`, or the role that owns the database.
    timeout_s
        How long to wait for the server.

    Raises
    ------
    psycopg.Error
        The server does not answer, or refuses the login.
    """
    import psycopg

    password = "postgres_password" if user == ADMIN else f"{user}_database_password"
    return psycopg.connect(
        host=settings.postgres_host,
        port=settings.postgres_port,
        user=user,
        password=settings.secret(password),
        dbname=database,
        autocommit=True,
        connect_timeout=timeout_s,
    )
