"""Postgres, Redis, an S3 server and nginx as plain processes: their files and their commands.

AWS_ENDPOINT_URL names another store than the S3 server here.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from include.errors import ConfigError
from scripts.cluster import aws, object_store
from scripts.cluster.settings import ClusterSettings
from scripts.cluster.users import switched, write_private
from scripts.stack.environment import process_environment
from scripts.stack.parts import Part
from scripts.stack.settings import HOST, MARKER, Place

NAMES = ("postgres", "redis", "s3")
_ACCOUNTS = {"postgres": "postgres", "redis": "redis", "balancer": "www-data"}
"""Debian's accounts: root starts each service as its own user, which Postgres insists on."""


@dataclass(frozen=True)
class ServicesPlace(Place):
    """Where the services keep their data, logs and states."""

    home: Path


def tool(name: str) -> str:
    """Return the path of a program, Debian's folder of Postgres included."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    path = os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"], "/usr/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise ConfigError(
            f"{name} is not installed. `make cluster-install` installs what the cluster needs."
        )
    return found


def prepare(settings: ClusterSettings, place: ServicesPlace) -> None:
    """Make folders, configurations and, once, Postgres's data directory."""
    for folder in (settings.cluster_home, place.home):
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    for folder in (place.run, place.logs):
        folder.mkdir(mode=0o700, exist_ok=True)
    data = owned_folder(place, "postgres") / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(data, settings.secret("postgres_password"))
    owned_folder(place, "s3")
    redis = owned_folder(place, "redis")
    write_private(redis / "redis.conf", _redis(settings, redis).encode())


def owned_folder(place: ServicesPlace, name: str) -> Path:
    """Make the folder of a service, readable by its own user only."""
    folder = place.home / name
    folder.mkdir(mode=0o700, exist_ok=True)
    _give(folder, name)
    return folder


def as_account(name: str, command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that runs as the service's own user where we are root."""
    if os.geteuid() != 0 or name not in _ACCOUNTS:
        return command
    account = _account(name)
    return switched(account.pw_uid, command, account.pw_gid)


def parts(settings: ClusterSettings, place: ServicesPlace) -> list[Part]:
    """Return the services that must answer before anything of Airflow starts."""
    base = {
        **process_environment(os.environ.get("PATH", os.defpath)),
        "LANG": "C.UTF-8",
        MARKER: str(place.home),
    }
    data = place.home / "postgres" / "data"
    # No socket file: every client comes by TCP, with a password.
    postgres = (tool("postgres"), "-D", str(data), "-h", HOST, "-p", str(settings.postgres_port))
    postgres += ("-c", "unix_socket_directories=")
    redis = (tool("redis-server"), str(place.home / "redis" / "redis.conf"))
    s3 = object_store.command(settings.s3_port, place.home / "s3")
    return [
        Part("postgres", as_account("postgres", postgres), base),
        Part("redis", as_account("redis", redis), base),
        Part("s3", s3, {**base, **aws.keys(settings)}),
    ]


def _initialise(data: Path, password: str) -> None:
    initdb = tool("initdb")
    file = data.parent / "password"
    write_private(file, password.encode())
    command = (initdb, "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
    command += ("--auth=scram-sha-256", f"--pwfile={file}")
    try:
        done = subprocess.run(
            as_account("postgres", command), capture_output=True, text=True, cwd="/", check=False
        )
    finally:
        file.unlink()
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)  # half a data directory would be believed
        raise ConfigError(f"{initdb} made no database in {data}: {done.stderr.strip()}")


def _redis(settings: ClusterSettings, folder: Path) -> str:
    return (
        f"bind {HOST}\n"
        f"port {settings.redis_port}\n"
        f"requirepass {settings.secret('redis_password')}\n"
        f"dir {folder}\n"
        "daemonize no\n"
        # A changed title would hide the mark by which `down` finds it.
        "set-proc-title no\n"
        # What was queued is there after a restart.
        "appendonly yes\n"
        # A full memory is an error that the sender sees, not a task that is gone.
        "maxmemory-policy noeviction\n"
    )


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_ACCOUNTS[name])
    except KeyError:
        raise ConfigError(
            f"There is no user {_ACCOUNTS[name]!r} for {name}. `make cluster-install` installs "
            "Debian's package, which makes it."
        ) from None


def _give(path: Path, name: str) -> None:
    if os.geteuid() == 0 and name in _ACCOUNTS:
        account = _account(name)
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
