"""The users of the MLflow server."""

from __future__ import annotations

ADMIN = "admin"
"""A person, who may do anything."""
PIPELINE = "pipeline"
"""Airflow's tasks: may create, and change what they created."""
SERVING = "serving"
"""The scoring server: may read, and change nothing of others."""
USERS = (ADMIN, PIPELINE, SERVING)


def password_variable(user: str) -> str:
    """Return the environment variable that tells the server a user's password."""
    return f"FLYWHEEL_MLFLOW_{user.upper()}_PASSWORD"
