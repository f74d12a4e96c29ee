"""Bring the roles and the accounts of Airflow's database to what this revision and cluster.env say.

Exact for the roles of `plugins.roles`: a permission that somebody gave one of them by hand is taken
away. What Dags allow to a role is Airflow's to keep, and other accounts and roles stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.roles import ADMIN, ROLES, Permission
from scripts.cluster.settings import ClusterSettings
from scripts.stack import secret_files

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.security_manager.override import (
        FabAirflowSecurityManagerOverride,
    )

_OF_ONE_DAG = ("DAG:", "DAG Run:")
ACCOUNTS = {secret_files.ADMIN: ADMIN, secret_files.HOUSEKEEPING: "housekeeping"}
"""The role of each account that is made; its password is a secret of the cluster."""


def bring_up_to_date(settings: ClusterSettings) -> None:
    """Make or correct roles and accounts. A second run changes nothing."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        # FAB knows its permissions only when its views are registered, as `airflow sync-perm` does.
        builder.add_permissions(update_perms=True)
        manager = builder.sm
        manager.sync_roles()
        for name, role in ROLES.items():
            correct_role(manager, name, role.may)
        for user, role_name in ACCOUNTS.items():
            correct_account(manager, user, role_name, settings.secret(f"{user}_password"))


def correct_role(
    manager: FabAirflowSecurityManagerOverride, name: str, may: tuple[Permission, ...]
) -> None:
    """Give a role these permissions, and of the others only those on single Dags."""
    role = manager.find_role(name) or manager.add_role(name)
    wanted = [manager.create_permission(action, what) for action, what in may]
    kept = [each for each in role.permissions if each.resource.name.startswith(_OF_ONE_DAG)]
    if {each.id for each in role.permissions} != {each.id for each in (*wanted, *kept)}:
        role.permissions = [*wanted, *kept]
        manager.session.commit()


def correct_account(
    manager: FabAirflowSecurityManagerOverride, user: str, role_name: str, password: str
) -> None:
    """Make an account, or give it this role and this password. Other sessions of it end then."""
    role = manager.find_role(role_name)
    found = manager.find_user(username=user)
    if found is None:
        # FAB wants an address, and each only once. Nothing is ever sent to it.
        manager.add_user(user, user, "Flywheel", f"{user}@flywheel.invalid", role, password)
        return
    if [each.name for each in found.roles] != [role_name] or not found.active:
        found.roles, found.active = [role], True
        manager.update_user(found)
    if not manager.check_password(user, password):
        manager.reset_password(found.id, password)
