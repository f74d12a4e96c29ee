"""`python -m include.tracking_server`: MLflow's server with login, in one process.

`mlflow server` starts a second process, which goes on answering when the first is killed. This does
what that command does, without it. Settings are environment variables, because a command line shows
secrets to every user of the machine:

FLYWHEEL_MLFLOW_DATABASE, FLYWHEEL_MLFLOW_AUTH_DATABASE
    SQLAlchemy addresses of the tracking store and of the users.
FLYWHEEL_MLFLOW_ARTIFACTS
    The artifact store: a folder, or `s3://bucket/prefix`.
FLYWHEEL_MLFLOW_HOST, FLYWHEEL_MLFLOW_PORT
    Where it listens (127.0.0.1, 5000).
FLYWHEEL_MLFLOW_ADMIN_PASSWORD, FLYWHEEL_MLFLOW_PIPELINE_PASSWORD, FLYWHEEL_MLFLOW_SERVING_PASSWORD
    Of the users in `users.py`. A changed password takes effect at the next start.
MLFLOW_FLASK_SERVER_SECRET_KEY
    Signs the sessions of MLflow's pages.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping

from include import logs
from include.errors import ConfigError
from include.settings import Settings
from include.tracking_server.users import ADMIN, USERS, password_variable

# MLflow hashes the password at each request, 0.16 s of a core. One process serves, and changes of a
# user made through it empty the cache, so remembering a good login for minutes delays nothing.
_LOGIN_CACHED_S = 300


def main(env: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGTERM or SIGINT."""
    needed = [
        "FLYWHEEL_MLFLOW_DATABASE",
        "FLYWHEEL_MLFLOW_AUTH_DATABASE",
        "FLYWHEEL_MLFLOW_ARTIFACTS",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
        *map(password_variable, USERS),
    ]
    if missing := [name for name in needed if not env.get(name)]:
        raise ConfigError(
            f"The MLflow server needs the environment variables {missing}. `make up` sets them; "
            "see include/tracking_server/__main__.py."
        )
    logs.configure(Settings.from_env(env).log_format)  # for warnings of the imports
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as config:  # readable by the owner only
        config.write(_auth_config(env))
        config.flush()
        os.environ |= _as_mlflow_reads_them(env, config.name)
        _serve(env)


def _auth_config(env: Mapping[str, str]) -> str:
    database = env["FLYWHEEL_MLFLOW_AUTH_DATABASE"].replace("%", "%%")
    return (
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {database}\n"
        f"admin_username = {ADMIN}\n"
        f"auth_cache_ttl_seconds = {_LOGIN_CACHED_S}\n"
    )


def _as_mlflow_reads_them(env: Mapping[str, str], auth_config: str) -> dict[str, str]:
    from mlflow.server import constants

    database = env["FLYWHEEL_MLFLOW_DATABASE"]
    return {
        constants.BACKEND_STORE_URI_ENV_VAR: database,
        constants.REGISTRY_STORE_URI_ENV_VAR: database,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: env["FLYWHEEL_MLFLOW_ARTIFACTS"],
        "MLFLOW_AUTH_CONFIG_PATH": auth_config,
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": env[password_variable(ADMIN)],
        "_MLFLOW_SGI_NAME": "uvicorn",
        # The job runner is a dozen processes and 2.8 GB that nothing here uses.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _serve(env: Mapping[str, str]) -> None:
    import uvicorn
    from mlflow.server import auth
    from mlflow.server.handlers import initialize_backend_stores

    logs.configure(Settings.from_env(env).log_format)  # MLflow has installed handlers of its own
    initialize_backend_stores(
        env["FLYWHEEL_MLFLOW_DATABASE"], env["FLYWHEEL_MLFLOW_DATABASE"], "mlflow-artifacts:/"
    )
    auth.bootstrap_admin_user()
    for user in USERS:
        _ensure(auth.store, user, env[password_variable(user)])
    uvicorn.run(
        "include.tracking_server.app:create_app",
        factory=True,
        host=env.get("FLYWHEEL_MLFLOW_HOST") or "127.0.0.1",
        port=int(env.get("FLYWHEEL_MLFLOW_PORT") or 5000),
        log_config=None,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
    )


def _ensure(store: object, user: str, password: str) -> None:
    """Make a user, or give it the password that the environment says."""
    if not store.has_user(user):  # type: ignore[attr-defined]
        store.create_user(user, password)  # type: ignore[attr-defined]
    elif not store.authenticate_user(user, password):  # type: ignore[attr-defined]
        store.update_user(user, password=password)  # type: ignore[attr-defined]


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        raise SystemExit(str(error)) from None  # a person reads it: no traceback
