"""The parts of a cluster as plain processes, and how the health of each is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.errors import ConfigError
from scripts.cluster import balancer, postgres, services, users
from scripts.cluster.environment import command, environment, files
from scripts.cluster.services import ServicesPlace
from scripts.cluster.settings import ClusterSettings
from scripts.stack.parts import HEALTHY, Part, airflow_health, answers_at
from scripts.stack.settings import HOST, MARKER

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
WORKERS = {"worker-1": "worker", "worker-2": "worker", "worker-trusted": "trusted"}
"""The role of each worker."""
REPLICAS = {"serving-1": "replica_port", "serving-2": "second_replica_port"}
"""The setting that holds the port of each replica."""
ROLES = {
    **{name: name for name in (*AIRFLOW, "mlflow")},
    **WORKERS,
    **dict.fromkeys(REPLICAS, "serving"),
}
"""The role of each part; nginx, which is Debian's, has none."""
NAMES = (*ROLES, "balancer")


@dataclass(frozen=True)
class WheelPlace(ServicesPlace):
    """Where Airflow, MLflow and serving keep what is their own: one folder a part."""

    def home_of(self, name: str) -> Path:
        """Return the home of a part; no other part reads it."""
        return self.home / "homes" / name


def prepare(settings: ClusterSettings, place: WheelPlace) -> None:
    """Make the homes, and the balancer's configuration."""
    place.home.mkdir(mode=0o711, parents=True, exist_ok=True)
    (place.home / "homes").mkdir(mode=0o711, exist_ok=True)
    for folder in (place.run, place.logs, *map(place.home_of, ("init", *NAMES))):
        folder.mkdir(mode=0o700, exist_ok=True)
    for name, role in {**ROLES, "init": "init"}.items():
        write_files(files(role, settings), place.home_of(name))
    if users.hindrance(settings.use_cases) is None:
        users.compile_code()
        for name in ROLES:
            users.give(place.home_of(name), users.uid_of(name, ROLES))
    _prepare_balancer(settings, services.owned_folder(place, "balancer"))


def _prepare_balancer(settings: ClusterSettings, folder: Path) -> None:
    replicas = [f"{HOST}:{getattr(settings, port)}" for port in REPLICAS.values()]
    public, inside = (f"{HOST}:{port}" for port in (settings.serving_port, settings.balancer_port))
    tls = None
    if settings.tls_certificate and settings.tls_key:
        tls = balancer.Tls(public, folder / "certificate.pem", folder / "key.pem")
        for source, own in (
            (settings.tls_certificate, tls.certificate),
            (settings.tls_key, tls.key),
        ):
            # nginx's user may not be allowed to read the original.
            users.write_private(own, _text_of(source).encode())
    text = balancer.configuration([inside if tls else public], replicas, folder, tls)
    users.write_private(folder / "nginx.conf", text.encode())


def _text_of(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read ({error}). FLYWHEEL_TLS_CERTIFICATE and FLYWHEEL_TLS_KEY name "
            "files in PEM that you may read."
        ) from None


def write_files(found: Mapping[str, bytes], home: Path) -> None:
    """Write the files of a role into its home; only its owner reads them."""
    for name, content in found.items():
        users.write_private(home / name, content)


def parts(settings: ClusterSettings, place: WheelPlace) -> list[Part]:
    """Return all parts but the services."""
    own_users = users.hindrance(settings.use_cases) is None
    mark = {MARKER: str(place.home), "LANG": "C.UTF-8"}

    def part(name: str, role: str, **more: str) -> Part:
        found = {**environment(role, settings, place.home_of(name)), **mark, **more}
        if not own_users:
            return Part(name, command(role, name), found)
        run = users.switched(users.uid_of(name, ROLES), command(role, name))
        return Part(name, run, found | users.variables(name, place.home_of(name)))

    found = [part(name, role) for name, role in ROLES.items() if name not in REPLICAS]
    for name, port in REPLICAS.items():
        found.append(part(name, "serving", FLYWHEEL_SERVING_PORT=str(getattr(settings, port))))
    nginx = (services.tool("nginx"), "-c", str(place.home / "balancer" / "nginx.conf"))
    base = services.parts(settings, place)[0].environment
    found.append(Part("balancer", services.as_account("balancer", nginx), {**base, **mark}))
    return found


def health(settings: ClusterSettings, started_at: Mapping[str, float]) -> dict[str, str]:
    """Ask every part: `HEALTHY`, or what is wrong, by the part's name."""
    monitor = f"http://{HOST}:{settings.airflow_port}/api/v2/monitor/health"
    answers = airflow_health(monitor, started_at)
    answers |= _workers(settings)
    answers["mlflow"] = answers_at(f"http://{HOST}:{settings.mlflow_port}/health")
    inside = settings.balancer_port if settings.tls_key else settings.serving_port
    answers["balancer"] = answers_at(f"http://{HOST}:{inside}/health")
    for name, port in REPLICAS.items():
        answers[name] = answers_at(f"http://{HOST}:{getattr(settings, port)}/health")
    return {name: answers[name] for name in NAMES}


def services_health(settings: ClusterSettings) -> dict[str, str]:
    """Ask Postgres and Redis, each with its login, and SeaweedFS.

    A store that AWS_ENDPOINT_URL names instead is no part of this cluster: the first job asks it.
    """
    return {
        "postgres": _postgres(settings),
        "redis": _redis(settings),
        "s3": answers_at(f"http://{HOST}:{settings.s3_port}/healthz"),
    }


def _workers(settings: ClusterSettings) -> dict[str, str]:
    """Ask all workers at once; each answers within a second."""
    from celery import Celery

    app = Celery(broker=settings.redis(0), set_as_current=False)
    app.conf.broker_connection_retry = False
    try:
        found = {name for answer in app.control.ping(timeout=1.5) for name in answer}
    except Exception as error:  # kombu's and redis's have no common base
        return dict.fromkeys(WORKERS, f"unknown: the broker does not answer ({error})")
    finally:
        app.close()
    here = {node.partition("@")[2] or node for node in found}
    return {name: HEALTHY if name in here else "does not answer" for name in WORKERS}


def _postgres(settings: ClusterSettings) -> str:
    import psycopg

    try:
        with postgres.connect(settings, timeout_s=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return f"does not answer ({str(error).strip()})"
    return HEALTHY


def _redis(settings: ClusterSettings) -> str:
    import redis

    client = redis.Redis.from_url(settings.redis(0), socket_timeout=5, socket_connect_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        return f"does not answer ({error})"
    finally:
        client.close()
    return HEALTHY
