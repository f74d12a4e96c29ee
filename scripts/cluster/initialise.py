"""The first job of a cluster: databases, buckets, a proof of the store, migrations, pools, users.

A second run changes nothing.

`python -m scripts.cluster.initialise` reads its environment, in a container or as a plain process.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from include.errors import FlywheelError, ServiceUnavailable
from include.lake.proof import prove
from include.settings import Settings
from scripts.cluster import access, aws, postgres
from scripts.cluster.settings import ClusterSettings

DATABASES = {"airflow": "airflow", "mlflow": "mlflow", "mlflow_users": "mlflow"}
"""Each database with the role that owns it."""


def databases(settings: ClusterSettings) -> None:
    """Make the roles and databases that do not exist; give roles the passwords of the settings."""
    import psycopg
    from psycopg import sql

    try:
        with postgres.connect(settings) as connection:
            for role in sorted(set(DATABASES.values())):
                found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
                verb = sql.SQL("ALTER" if found.fetchone() else "CREATE")
                password = settings.secret(f"{role}_database_password")
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                        verb, sql.Identifier(role), sql.Literal(password)
                    )
                )
            for name, owner in DATABASES.items():
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
                database = sql.Identifier(name)
                if not found.fetchone():
                    connection.execute(
                        sql.SQL("CREATE DATABASE {} OWNER {}").format(
                            database, sql.Identifier(owner)
                        )
                    )
                # By default every role may connect to every database.
                connection.execute(
                    sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database)
                )
    except psycopg.Error as error:
        where = f"{settings.postgres_host}:{settings.postgres_port}"
        raise ServiceUnavailable(
            f"Postgres at {where} made no databases: {str(error).strip()}. Check "
            "FLYWHEEL_POSTGRES_PASSWORD, and start it again."
        ) from error


def buckets(settings: ClusterSettings) -> None:
    """Make the buckets that do not exist."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = aws.s3_client(settings)
    where = {"CreateBucketConfiguration": {"LocationConstraint": settings.aws_region}}
    if settings.aws_region == "us-east-1":  # the default, which S3 does not accept as a location
        where = {}
    uris = (settings.lake_uri, settings.landing_uri, settings.artifacts_uri, settings.logs_uri)
    try:
        present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for name in sorted({urlsplit(uri).netloc for uri in uris} - present):
            client.create_bucket(Bucket=name, **where)
    except (BotoCoreError, ClientError) as error:
        raise ServiceUnavailable(
            f"The object store at {settings.aws_endpoint_url} made no buckets: {error}. Check "
            "AWS_ENDPOINT_URL and the login, and start it again."
        ) from error


def migrate(settings: ClusterSettings) -> None:
    """Bring Airflow's and MLflow's databases to the installed versions, and make the pools."""
    from mlflow.store.db import utils as mlflow_database

    from scripts.stack.airflow_database import main as migrate_airflow

    migrate_airflow(settings.pool_factor)
    announce_revision(Settings.from_env().code_version)
    # As `mlflow db upgrade` does, whose command line would show the password.
    engine = mlflow_database.create_sqlalchemy_engine_with_retry(settings.database("mlflow"))
    if mlflow_database._is_empty_database(engine):
        mlflow_database._initialize_tables(engine)
    else:
        mlflow_database._upgrade_db(engine)


def announce_revision(revision: str) -> None:
    """Say which revision of the code all workers must run; '' where each has the code beside it."""
    from airflow.models.variable import Variable

    from plugins.operators.base import REVISION

    if revision:
        Variable.set(REVISION, revision, description="Set by the first job of the cluster")
    else:
        Variable.delete(REVISION)


def main() -> None:
    """Do it all, in order."""
    settings = ClusterSettings.from_env()
    databases(settings)
    buckets(settings)
    library = Settings.from_env()
    prove(library.lake_uri, library.storage_options())
    migrate(settings)
    access.bring_up_to_date(settings)


if __name__ == "__main__":
    try:
        main()
    except FlywheelError as error:
        sys.exit(str(error))
