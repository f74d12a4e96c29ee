"""Command line of the cluster: `python -m scripts.cluster secrets|up|down|status`."""

from __future__ import annotations

import signal
import sys

from include.errors import FlywheelError
from scripts.cluster import env_file
from scripts.cluster.cluster import Cluster
from scripts.cluster.settings import ClusterSettings


def secrets() -> int:
    """Make cluster.env, or add the secrets that it lacks."""
    added = env_file.ensure(env_file.path())
    print(f"{env_file.path()}: {', '.join(added) + ' added' if added else 'nothing was missing'}.")
    return 0


def up() -> int:
    """Start the cluster and say where it is."""
    cluster = Cluster(env_file.path(), say=lambda line: print(line, flush=True))
    cluster.up()
    _print_addresses(cluster)
    return 0


def down() -> int:
    """Stop the cluster and whatever is left of it."""
    stopped = Cluster(env_file.path()).down()
    print(f"Stopped: {', '.join(stopped)}." if stopped else "The cluster is not up.")
    return 0


def status() -> int:
    """Say how each part is; exit code 1 when not all are healthy."""
    cluster = Cluster(env_file.path())
    found = [cluster.services_status(), cluster.wheel_status()]
    if not any(each.parts for each in found):
        print("The cluster is not up. Start it with `make cluster-up`.")
        return 1
    for each in found:
        for name, words in each.parts.items():
            count, code = each.restarts.get(name, (0, None))
            note = f" (restarted {count} times, last exit code {code})" if count else ""
            print(f"  {name:<14} {words}{note}")
        if each.manager:
            print(each.manager)
    print(f"  memory         {cluster.memory_bytes() / 2**30:.2f} GiB")
    _print_addresses(cluster)
    return 0 if all(each.healthy for each in found) else 1


def _print_addresses(cluster: Cluster) -> None:
    for name, url in cluster.addresses().items():
        print(f"  {name:<14} {url}")
    login = cluster.login()
    variable = ClusterSettings.variable(f"{login.user}_password")
    print(f"  Log in to Airflow as {login.user!r}; {login.password_file} has {variable}")


COMMANDS = {each.__name__: each for each in (secrets, up, down, status)}


def main(arguments: list[str]) -> int:
    """Do what the one argument says."""
    command = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if command is None:
        print(f"Give one of {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    # A CI that gives up sends SIGTERM: what `up` started must not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return command()
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
