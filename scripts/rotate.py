"""Replace the signing key or the Fernet key, because it is old or somebody may have read it.

`python -m scripts.rotate signing-key|withdraw|fernet-key [--cluster]`; docs/rotation.md says when.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from include.errors import ConfigError, DataContractError, FlywheelError, ServiceUnavailable
from include.lake.table import Lake
from include.registry import signing
from include.registry.client import Registry
from include.registry.ledger import Ledger
from include.settings import REPO, Settings
from include.use_cases.loader import load_all
from scripts.cluster import env_file
from scripts.cluster.cluster import Cluster
from scripts.cluster.settings import MADE, ClusterSettings, verify_key_of
from scripts.deployment import Deployment
from scripts.stack import processes, secret_files
from scripts.stack.environment import airflow_environment, base_environment, process_environment
from scripts.stack.settings import StackSettings, program

_SIGNING = ClusterSettings.variable("signing_key_base64")
_VERIFY = ClusterSettings.variable("verify_key_base64")
_FERNET = ClusterSettings.variable("fernet_key")


def signing_key(settings: StackSettings) -> str:
    """Make a new signing key; what was signed before stays valid."""
    library = Settings.from_env(base_environment(settings))
    signing.rotate(library.signing_key, library.verify_key)
    return (
        f"{library.signing_key} is new, and {library.verify_key} begins with its public half. What "
        "the former key has signed is still trusted: `make withdraw-signing-key` ends that."
    )


def cluster_signing_key(file: Path) -> str:
    """Make a new signing key in the env file; what was signed before stays valid."""
    env_file.ensure(file)
    new, known = MADE["signing_key_base64"](), env_file.read(file)
    keys = base64.b64decode(verify_key_of(new)) + base64.b64decode(known[_VERIFY])
    env_file.change(file, {_SIGNING: new, _VERIFY: base64.b64encode(keys).decode()})
    return (
        f"{file} has a new signing key. Stop the workers, then start everything again: a part that "
        "knows the former keys only refuses what the new one signs."
    )


def withdraw(settings: StackSettings) -> str:
    """Trust what the present signing key has signed, and nothing else."""
    library = Settings.from_env(base_environment(settings))
    signing.check_pair(library.signing_key, library.verify_key)
    deployment = Deployment.of_environment()
    check_unneeded(
        signing.public_pem(library.signing_key), deployment.lake, library, load_all().use_cases
    )
    signing.withdraw(library.signing_key, library.verify_key)
    return f"{library.verify_key} holds the present key alone."


def cluster_withdraw(file: Path) -> str:
    """Trust what the present signing key of the env file has signed, and nothing else."""
    env_file.ensure(file)
    present = verify_key_of(env_file.read(file)[_SIGNING])
    os.environ.update(Cluster(file).environment())
    library = Settings.from_env()
    lake = Lake(library.lake_uri, library.storage_options())
    check_unneeded(base64.b64decode(present), lake, library, load_all().use_cases)
    env_file.change(file, {_VERIFY: present})
    return f"{file} holds the present key alone. Start everything again."


def check_unneeded(pem: bytes, lake: Lake, library: Settings, use_cases: Iterable[str]) -> None:
    """Refuse to withdraw the former keys while what serves was signed with one of them.

    Parameters
    ----------
    pem
        The present public key.
    lake, library
        Where promotions are, and how MLflow is reached.
    use_cases
        Their names.

    Raises
    ------
    ConfigError
        Which champions those are, and what to do.
    """
    needed = []
    with tempfile.TemporaryDirectory() as folder:
        only = Path(folder) / "verify.pem"
        only.write_bytes(pem)
        registry = Registry(library.tracking_uri, verify_key=only, cache=Path(folder) / "packages")
        for name in use_cases:
            try:
                champion = Ledger(lake, name, only).current()
                if champion is not None:
                    registry.fetch(name, champion.version)
            except DataContractError:
                needed.append(name)
    if needed:
        raise ConfigError(
            f"What serves for {', '.join(needed)} was signed with a former key, and would be "
            "refused without it. Start train_tune of each with its newest labelled partition, let "
            "the version be promoted (or start deploy with it and a reason), and try again."
        )


def fernet_key(settings: StackSettings) -> str:
    """Make a new Fernet key, and encrypt with it what Airflow's database holds."""
    if processes.of_home(settings.home):
        raise ConfigError("The stack runs, with the former key. Stop it with `make down`.")
    file = settings.secrets / "fernet_key"
    # Airflow decrypts with any of the keys, and encrypts with the first.
    both = with_new_fernet_key(secret_files.read(settings, "fernet_key"))
    secret_files.replace(file, both)
    encrypt_again({**base_environment(settings), **airflow_environment(settings)})
    secret_files.replace(file, both.partition(",")[0])
    return f"{file} is new, and Airflow's database was encrypted with it. Run `make up`."


def cluster_fernet_key(file: Path) -> str:
    """Do the next of the two steps: put a new key before the former one, or drop the former one."""
    settings = env_file.load(file)
    known = settings.secret("fernet_key")
    if "," not in known:
        env_file.change(file, {_FERNET: with_new_fernet_key(known)})
        return (
            f"{file} has a new Fernet key before the former one. Start everything again, then run "
            "this again: it encrypts Airflow's database with the new one, and drops the former."
        )
    encrypt_again(
        {
            **process_environment(os.environ.get("PATH", os.defpath)),
            "AIRFLOW__CORE__FERNET_KEY": known,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": settings.database("airflow"),
            "AIRFLOW_HOME": str(settings.cluster_home / "client" / "airflow"),
        }
    )
    env_file.change(file, {_FERNET: known.partition(",")[0]})
    return f"Airflow's database was encrypted with the new key. Start everything that reads {file}."


def with_new_fernet_key(known: str) -> str:
    """Return a new key, and behind it those that are known, as Airflow reads them."""
    return f"{MADE['fernet_key']()},{known}"


def encrypt_again(env: Mapping[str, str]) -> None:
    """Encrypt connections and variables with the first of the Fernet keys of an environment.

    Raises
    ------
    ServiceUnavailable
        Airflow did not do it; both keys are still there.
    """
    done = subprocess.run(
        [program("airflow"), "rotate-fernet-key"],
        cwd=REPO, env=dict(env), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ServiceUnavailable(
            "`airflow rotate-fernet-key` failed, and both keys stay: " + done.stderr[-1500:].strip()
        )


COMMANDS = {
    "signing-key": (signing_key, cluster_signing_key),
    "withdraw": (withdraw, cluster_withdraw),
    "fernet-key": (fernet_key, cluster_fernet_key),
}


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.rotate", description=__doc__)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--cluster", action="store_true", help="in cluster.env")
    options = parser.parse_args(arguments)
    of_stack, of_cluster = COMMANDS[options.what]
    try:
        if options.cluster:
            print(of_cluster(env_file.path()))
        else:
            print(of_stack(StackSettings.from_env()))
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
