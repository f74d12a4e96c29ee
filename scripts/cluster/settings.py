"""What differs from one machine to a cluster: addresses, logins, keys. All of it is in one file."""

from __future__ import annotations

import base64
import re
import secrets
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import AfterValidator, Field, SecretStr, model_validator

from include.errors import SettingsError
from include.registry.signing import public_keys
from include.settings import REPO, EnvironmentSettings, LogFormat, Port
from scripts.stack.settings import HOST

PORTS = (
    "airflow_port", "mlflow_port", "serving_port", "postgres_port", "redis_port", "s3_port",
    "replica_port", "second_replica_port", "balancer_port",
)  # fmt: skip


AWS_ITSELF = "aws"
"""Value of AWS_ENDPOINT_URL that stands for the addresses of AWS's own services."""


def _hex(length: int) -> Callable[[], str]:
    return lambda: secrets.token_hex(length)


def _signing_key() -> str:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(pem).decode()


def verify_key_of(signing_key: str) -> str:
    """Return the public half of a signing key; both are PEM in base64.

    Raises
    ------
    SettingsError
        It is no Ed25519 private key.
    """
    try:
        key = load_pem_private_key(base64.b64decode(signing_key), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(  # without the value, which is a secret
            "FLYWHEEL_SIGNING_KEY_BASE64 must be an Ed25519 private key, PEM in base64, and is "
            "not. Bring back the former line from your backup of the keys; or remove it and that "
            "of FLYWHEEL_VERIFY_KEY_BASE64, and `make secrets` makes a new pair."
        )
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


def _fernet() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


MADE: dict[str, Callable[[], str]] = {
    "postgres_password": _hex(24),
    "airflow_database_password": _hex(24),
    "mlflow_database_password": _hex(24),
    "redis_password": _hex(24),
    "fernet_key": _fernet,
    "jwt_secret": _hex(64),  # Airflow signs with HS512, which wants a key of at least 64 bytes
    "api_secret_key": _hex(32),
    "admin_password": _hex(18),
    "housekeeping_password": _hex(18),
    "mlflow_admin_password": _hex(18),
    "mlflow_pipeline_password": _hex(18),
    "mlflow_serving_password": _hex(18),
    "mlflow_secret_key": _hex(32),
    "flower_password": _hex(18),
    "grafana_password": _hex(18),
    "label_studio_password": _hex(18),
    "label_studio_token": _hex(20),  # 40 digits are what its table of tokens holds
    "aws_access_key_id": _hex(10),
    "aws_secret_access_key": _hex(24),
    "signing_key_base64": _signing_key,
}
"""How `make secrets` makes each secret. None has a default."""

_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
KEY_PAIR = ("aws_access_key_id", "aws_secret_access_key")
"""What logs in at the store, unless `aws_connection` does."""


class ClusterSettings(EnvironmentSettings):
    """One cluster: where its services answer, and how to log in.

    Attributes
    ----------
    cluster_home : Path
        `FLYWHEEL_CLUSTER_HOME`: where plain processes keep their state; unused in containers.
    ..._port : int
        What is published on loopback. `replica_port` and the second are of serving's replicas;
        `balancer_port` is where nginx answers the other parts, without TLS, when `serving_port`
        answers with it; Flower, the page of Celery's workers, runs in containers only.
    tls_certificate, tls_key : Path or None
        Files in PEM: with them `serving_port` answers HTTPS. One without the other is refused.
    listen_host : str
        Where Airflow's API, MLflow and serving listen; loopback, unless a container's network is
        closed to others.
    postgres_host, redis_host, airflow_url, tracking_uri, serving_url : str
        How the parts reach each other; by default on this machine, at the ports.
    label_studio_url : str
        How tasks reach Label Studio; by default on this machine, at its port.
    airflow_public_url : str
        How a person's browser reaches Airflow; links lead there.
    mlflow_allowed_hosts : str
        Names by which MLflow may be called, with commas; empty for its own default.
    lake_uri, landing_uri, artifacts_uri, logs_uri : str
        What is kept in the object store.
    aws_endpoint_url : str
        Of the store, or `aws` for AWS's own services.
    aws_connection : SecretStr or None
        Airflow's connection to AWS as a URI, such as `aws://?role_arn=...`: instead of the key pair
        for the parts of Airflow. The other parts then log in by the machine's role if there is no
        key pair.
    secrets_backend, secrets_prefix, secrets_connections, secrets_variables : str
        Where Airflow looks secrets up at AWS, below which prefix, and which names: a regular
        expression that they begin with.
    serving_hosts : str
        Names by which clients reach serving, with commas; `balancer` and `serving` are those of
        the other containers.
    serving_open : bool
        Whether serving may be published beyond loopback without API keys.
    bind : str
        The address on which the containers' ports are published.
    landing_poll_s, serving_poll_s : float
        Seconds between two looks at the landing, and at what is promoted.
    dag_parse_interval_s : int
        Seconds between two parses of a Dag file that has not changed: a changed use case shows
        after so long.
    worker_concurrency : int
        Tasks of one worker at a time.
    parallelism : int
        Tasks of one scheduler at a time, on all workers together.
    pool_factor : int
        How many times its slots in `plugins/phases.py` the pool of each phase has.
    log_format : str
        `FLYWHEEL_LOG_FORMAT`: `text` for people, or `json`.
    statsd_host, statsd_port : str, int
        `FLYWHEEL_STATSD_HOST`, `FLYWHEEL_STATSD_PORT`: where Airflow sends its metrics; nowhere if
        the host is empty.
    prometheus_port, grafana_port, labelling_port : int
        Where their containers are published; the last is Label Studio's.
    verify_key_base64 : str
        The public half of the signing key, followed by former public keys that are still trusted;
        PEM in base64.
    ..._password, ..._key, ..._secret, signing_key_base64, aws_... : SecretStr or None
        Secrets; a part gets only those that it needs.
    """

    cluster_home: _AbsolutePath = REPO / ".flywheel-cluster"
    airflow_port: Port = 8080
    mlflow_port: Port = 5000
    serving_port: Port = 8000
    postgres_port: Port = 5432
    redis_port: Port = 6379
    s3_port: Port = 9000
    replica_port: Port = 8001
    second_replica_port: Port = 8002
    balancer_port: Port = 8003
    flower_port: Port = 5555
    labelling_port: Port = 8090
    tls_certificate: _AbsolutePath | None = None
    tls_key: _AbsolutePath | None = None
    listen_host: str = HOST
    postgres_host: str = HOST
    redis_host: str = HOST
    airflow_url: str = Field(default_factory=lambda known: f"http://{HOST}:{known['airflow_port']}")
    tracking_uri: str = Field(
        default_factory=lambda known: f"http://{HOST}:{known['mlflow_port']}",
        validation_alias="MLFLOW_TRACKING_URI",
    )
    serving_url: str = Field(
        default_factory=lambda known: (
            f"http://{HOST}:{known['balancer_port' if known['tls_key'] else 'serving_port']}"
        )
    )
    label_studio_url: str = Field(
        default_factory=lambda known: f"http://{HOST}:{known['labelling_port']}"
    )
    airflow_public_url: str = Field(default_factory=lambda known: known["airflow_url"])
    mlflow_allowed_hosts: str = ""
    aws_endpoint_url: str = Field(
        default_factory=lambda known: f"http://{HOST}:{known['s3_port']}",
        validation_alias="AWS_ENDPOINT_URL",
    )
    aws_region: str = Field("us-east-1", validation_alias="AWS_REGION")
    lake_uri: str = "s3://flywheel/lake"
    landing_uri: str = "s3://flywheel/landing"
    artifacts_uri: str = "s3://flywheel/mlflow"
    logs_uri: str = "s3://flywheel/logs"
    aws_connection: SecretStr | None = None
    secrets_backend: Annotated[
        Literal["", "secrets-manager", "parameter-store"],
        Field(description="secrets-manager or parameter-store"),
    ] = ""
    secrets_prefix: str = "flywheel"
    secrets_connections: str = ""
    secrets_variables: str = ""
    lake_aws_conn_id: str = "aws_default"
    landing_aws_conn_id: str = "aws_default"
    use_cases: Path = REPO / "include" / "use_cases"
    landing_poll_s: float = 2.0
    serving_poll_s: float = 2.0
    serving_hosts: str = "127.0.0.1,localhost,balancer,serving"
    serving_open: bool = False
    bind: str = HOST
    dag_parse_interval_s: int = Field(30, ge=1, description="a number of seconds, at least 1")
    housekeeping_cron: str = "*/10 * * * *"
    worker_concurrency: int = Field(2, ge=1, description="a number of tasks, at least 1")
    parallelism: int = Field(32, ge=1, description="a number of tasks, at least 1")
    pool_factor: int = Field(1, ge=1, description="a whole number, at least 1")
    log_format: LogFormat = "text"
    statsd_host: str = ""
    statsd_port: Port = 9125
    prometheus_port: Port = 9090
    grafana_port: Port = 3000
    postgres_password: SecretStr | None = None
    airflow_database_password: SecretStr | None = None
    mlflow_database_password: SecretStr | None = None
    redis_password: SecretStr | None = None
    fernet_key: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    api_secret_key: SecretStr | None = None
    admin_password: SecretStr | None = None
    housekeeping_password: SecretStr | None = None
    mlflow_admin_password: SecretStr | None = None
    mlflow_pipeline_password: SecretStr | None = None
    mlflow_serving_password: SecretStr | None = None
    grafana_password: SecretStr | None = None
    label_studio_password: SecretStr | None = None
    label_studio_token: SecretStr | None = None
    mlflow_secret_key: SecretStr | None = Field(
        None, validation_alias="MLFLOW_FLASK_SERVER_SECRET_KEY"
    )
    flower_password: SecretStr | None = None
    signing_key_base64: SecretStr | None = None
    verify_key_base64: str = ""
    aws_access_key_id: SecretStr | None = Field(None, validation_alias="AWS_ACCESS_KEY_ID")
    aws_secret_access_key: SecretStr | None = Field(None, validation_alias="AWS_SECRET_ACCESS_KEY")

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        both = ("tls_certificate", "tls_key")
        given = [self.variable(field) for field in both if getattr(self, field)]
        if len(given) == 1:
            (missing,) = {self.variable(field) for field in both} - {*given}
            raise ValueError(
                f"{given[0]} is set and {missing} is not. Set both to have HTTPS, or neither."
            )
        return self

    @model_validator(mode="after")
    def _places_are_apart(self) -> Self:
        """Refuse a folder, which parts do not share, and prefixes that a restore would mix up."""
        fields = ("lake_uri", "landing_uri", "artifacts_uri", "logs_uri")
        places = {self.variable(field): getattr(self, field).rstrip("/") for field in fields}
        for name, uri in places.items():
            if not re.fullmatch(r"s3://[^/]+(/[^/]+)*", uri):
                raise ValueError(
                    f"environment variable {name}: must be s3://bucket/prefix, because no part "
                    f"shares a disk with another, got {uri!r}. Correct it."
                )
        for (name, uri), (other, within) in permutations(places.items(), 2):
            if f"{within}/".startswith(f"{uri}/"):
                raise ValueError(
                    f"{other} ({within}) must not lie in {name} ({uri}): what one of them removes "
                    "or lists would be the other's too. Give each a prefix of its own."
                )
        return self

    @property
    def public_serving_url(self) -> str:
        """How a person on this machine reaches serving."""
        return f"{'https' if self.tls_key else 'http'}://{HOST}:{self.serving_port}"

    @property
    def ports(self) -> dict[str, int]:
        """Each port by the environment variable that sets it."""
        return {self.variable(field): getattr(self, field) for field in PORTS}

    def secret(self, field: str) -> str:
        """Return a secret; SettingsError when it is not set."""
        self.check([field])
        found: SecretStr = getattr(self, field)
        return found.get_secret_value()

    def check(self, fields: Iterable[str]) -> None:
        """Raise SettingsError that names every secret that is not set."""
        by_role = KEY_PAIR if self.aws_connection is not None else ()
        missing = [
            self.variable(field)
            for field in fields
            if getattr(self, field) is None and field not in by_role
        ]
        if missing:
            raise SettingsError(
                f"These secrets are not set, and none has a default: {', '.join(missing)}. "
                "`make secrets` adds what is missing to cluster.env."
            )

    def verify_keys(self) -> bytes:
        """Return the public keys that are believed, PEM; ConfigError when they are none."""
        variable = self.variable("verify_key_base64")
        if not self.verify_key_base64:
            raise SettingsError(f"{variable} is not set. `make secrets` adds it to cluster.env.")
        try:
            found = base64.b64decode(self.verify_key_base64, validate=True)
        except ValueError:
            found = b""
        public_keys(found, variable)
        return found

    def database(self, name: str) -> str:
        """Return the SQLAlchemy address of a database of `airflow` or `mlflow`."""
        owner = name.partition("_")[0]
        login = f"{owner}:{self.secret(f'{owner}_database_password')}"
        return f"postgresql+psycopg2://{login}@{self.postgres_host}:{self.postgres_port}/{name}"

    def redis(self, number: int) -> str:
        """Return the address of one of Redis's numbered databases."""
        login = self.secret("redis_password")
        return f"redis://:{login}@{self.redis_host}:{self.redis_port}/{number}"

    @classmethod
    def free_ports(cls) -> dict[str, str]:
        """Return variables for a cluster on ports that are free at this moment."""
        with ExitStack() as stack:
            found = {}
            for field in PORTS:
                listener = stack.enter_context(socket.socket())
                listener.bind((HOST, 0))
                found[cls.variable(field)] = str(listener.getsockname()[1])
        return found

    @classmethod
    def with_secrets(cls, **more: object) -> Self:
        """Make settings with new secrets, for tests."""
        made = {field: make() for field, make in MADE.items()}
        verify_key = verify_key_of(made["signing_key_base64"])
        return cls(**made, verify_key_base64=verify_key, **more)
