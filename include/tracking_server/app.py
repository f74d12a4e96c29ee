"""The application that uvicorn serves."""

from __future__ import annotations

import os
from typing import Any

from mlflow.server import app as flask_app
from mlflow.server.auth import create_app as create_app_with_login
from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR

from include.tracking_server.one_store import confine


def create_app() -> Any:
    """Make MLflow's application with login, confined to its artifact store."""
    confine(os.environ[ARTIFACTS_DESTINATION_ENV_VAR])
    return create_app_with_login(flask_app)
