"""The registry: training runs, model versions and their aliases, kept by MLflow.

Every client is made for one address, so nothing depends on MLflow's global state. Which version is
the champion is decided by the promotion ledger (`include.registry.ledger`); aliases follow it.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from include.errors import DataContractError, SettingsError
from include.registry.answers import check_named, is_duplicate, is_missing
from include.registry.ledger import REFIT_OF, Promotion
from include.registry.manifest import MANIFEST, sha256
from include.registry.package import ServableModel, load_package, verify_package
from include.registry.runs import Runs

CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
PACKAGE = "package"  # the artifact folder of a training run

_log = logging.getLogger(__name__)


class Registry(Runs):
    """Model versions, their aliases and packages, beside the runs they came from.

    Parameters
    ----------
    tracking_uri : str
        ``http://...`` or ``sqlite:///...``.
    login : tuple of str, optional
        User and password; by default those of the environment.
    signing_key, verify_key : Path, optional
        Ed25519 keys; the first is needed to make packages, the second to load them.
    cache : Path, optional
        Where fetched packages are kept.
    """

    def __init__(
        self,
        tracking_uri: str,
        *,
        login: tuple[str, str] | None = None,
        signing_key: Path | None = None,
        verify_key: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        super().__init__(tracking_uri, login)
        self._signing_key = signing_key
        self._verify_key = verify_key
        self._cache = cache

    @property
    def signing_key(self) -> Path:
        """The private key that packages are signed with."""
        return _needed(self._signing_key, "signing_key", "FLYWHEEL_SIGNING_KEY")

    @property
    def verify_key(self) -> Path:
        """The public key that packages are verified with."""
        return _needed(self._verify_key, "verify_key", "FLYWHEEL_VERIFY_KEY")

    # Model versions

    def register(
        self, use_case_name: str, run_id: str, package: Path, tags: Mapping[str, str]
    ) -> str:
        """Keep a package with its run, make a model version of it, and let that be the challenger.

        Idempotent: a run has one version, and a version that was judged stays judged. A refit
        (tag `refit_of`) is no challenger: the gate has judged the version that it was made of.

        Returns
        -------
        str
            The version's number.
        """
        version = self._version_of_run(use_case_name, run_id)
        if version is None:
            self._ensure_model(use_case_name)
            self.client.log_artifacts(run_id, str(package), PACKAGE)
            source = f"{self.client.get_run(run_id).info.artifact_uri}/{PACKAGE}"
            tags = {**tags, "package_sha256": sha256(package / MANIFEST)}
            made = self.client.create_model_version(use_case_name, source, run_id=run_id, tags=tags)
            version = str(made.version)
        known = self.client.get_model_version(use_case_name, version).tags
        if "verdict" not in known and REFIT_OF not in known:
            self.client.set_registered_model_alias(use_case_name, CHALLENGER, version)
        return version

    def version_of(self, name: str, alias: str) -> str | None:
        """Return the version an alias points at, None if there is none."""
        return self.aliases(name).get(alias)

    def aliases(self, name: str) -> dict[str, str]:
        """Return version by alias; none for a model that does not exist."""
        try:
            model = self.client.get_registered_model(name)
        except MlflowException as error:
            if is_missing(error):
                return {}
            raise
        check_named(model.name, name, self.tracking_uri)
        # MLflow's database gives numbers, its server text.
        return {alias: str(version) for alias, version in model.aliases.items()}

    def versions(self, name: str) -> list[str]:
        """Return all versions of a model, oldest first; none for a model that does not exist."""
        found = self.client.search_model_versions(f"name = '{name}'")
        return [str(number) for number in sorted(int(each.version) for each in found)]

    def follow(self, name: str, promotion: Promotion) -> None:
        """Make the aliases and the version's tags say what the ledger says. Idempotent."""
        now = self.aliases(name)
        wanted = {CHAMPION: promotion.version, PREVIOUS: promotion.previous}
        for alias, version in wanted.items():
            if version is not None and now.get(alias) != version:
                self.client.set_registered_model_alias(name, alias, version)
                _log.info("%s: %s is version %s, was %s", name, alias, version, now.get(alias))
        promoted = {promotion.version, promotion.evaluated_version}
        for version in sorted(promoted):
            if self.judged(name, version) != "promoted":
                self._judge(name, version, "promoted", [promotion.why])
        if now.get(CHALLENGER) in promoted:
            self.client.delete_registered_model_alias(name, CHALLENGER)

    def reject(self, name: str, version: str, reasons: Sequence[str]) -> None:
        """Write why a version was not promoted; it is challenger no more. Idempotent."""
        self._judge(name, version, "rejected", reasons)
        if self.version_of(name, CHALLENGER) == version:
            self.client.delete_registered_model_alias(name, CHALLENGER)

    def judged(self, name: str, version: str) -> str | None:
        """Return the verdict that a version has, `promoted` or `rejected`; None before it."""
        verdict = self._version(name, version).tags.get("verdict")
        return None if verdict is None else str(verdict)

    def newest_as_of(self, name: str, as_of: str) -> str | None:
        """Return the newest version that was trained as of a partition, None without one.

        Refits are left out, here and in `newest`: the gate judges what they were made of.
        """
        return self._newest(name, {"as_of": as_of})

    def newest(self, name: str) -> str | None:
        """Return the newest version, None without one."""
        return self._newest(name, {})

    def refit_of(self, name: str, version: str) -> str | None:
        """Return the version that is a version's refit, None before there is one."""
        found = self.client.search_model_versions(f"name = '{name}'")
        refits = (str(each.version) for each in found if each.tags.get(REFIT_OF) == version)
        return next(refits, None)

    def details(self, name: str, version: str) -> dict[str, Any]:
        """Return a version's `version`, `run_id`, `tags`, `metrics` (of its run) and `created_ms`.

        Raises
        ------
        DataContractError
            If there is no such version.
        """
        found = self._version(name, version)
        metrics = self.client.get_run(found.run_id).data.metrics if found.run_id else {}
        return {
            "version": str(found.version),
            "run_id": found.run_id,
            "tags": dict(found.tags),
            "metrics": dict(metrics),
            "created_ms": int(found.creation_timestamp),
        }

    # Packages

    def fetch(self, name: str, version: str) -> Path:
        """Download a version's package, verify it, and keep it: whole or not at all, once.

        A version never changes, so what is in the cache is not asked for again, and serving can
        start while MLflow is down.

        Raises
        ------
        DataContractError
            If the package is not exactly what was signed for this use case and this training run.
        """
        cache = _needed(self._cache, "cache", "FLYWHEEL_HOME")
        folder = cache / name / version
        if folder.exists():
            return folder
        run_id = self._version(name, version).run_id
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as temporary:
            self.client.download_artifacts(run_id, PACKAGE, temporary)
            fetched = Path(temporary) / PACKAGE
            self._check(fetched, name, version, run_id)
            try:
                fetched.rename(folder)
            except OSError:
                if not folder.exists():  # another process was faster, with the same files
                    raise
        return folder

    def load(self, name: str, version: str) -> ServableModel:
        """Fetch, verify and load a version.

        Verified at each load: the cache is only files. A package that fails is removed from it, so
        the next try downloads it again.

        Raises
        ------
        DataContractError
            If the package is not exactly what was signed.
        """
        folder = self.fetch(name, version)
        try:
            return load_package(folder, self.verify_key, version)
        except DataContractError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _check(self, folder: Path, name: str, version: str, run_id: str) -> None:
        """Verify, and refuse a good package that was signed for something else."""
        about = verify_package(folder, self.verify_key)
        signed_for = (about["use_case"], about["run_id"])
        if signed_for != (name, run_id):
            raise DataContractError(
                f"{name} version {version}: its package must be signed for use case and run "
                f"{(name, run_id)}, got {signed_for}. Nothing of it was loaded. "
                f"Train {name} again, and find out who changed the artifact store."
            )

    def _version(self, name: str, version: str) -> Any:
        try:
            return self.client.get_model_version(name, version)
        except MlflowException as error:
            if not is_missing(error):
                raise
            raise DataContractError(
                f"{name} version {version}: no such version at {self.tracking_uri}. "
                f"Look at the registered model {name!r} there, or train it first."
            ) from error

    def _version_of_run(self, name: str, run_id: str) -> str | None:
        found = self.client.search_model_versions(f"run_id = '{run_id}'")
        return next((str(each.version) for each in found if each.name == name), None)

    def _newest(self, name: str, tags: Mapping[str, str]) -> str | None:
        numbers = [
            int(each.version)
            for each in self.client.search_model_versions(f"name = '{name}'")
            if REFIT_OF not in each.tags and tags.items() <= each.tags.items()
        ]
        return str(max(numbers)) if numbers else None

    def _ensure_model(self, name: str) -> None:
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if not is_duplicate(error):
                raise

    def _judge(self, name: str, version: str, verdict: str, reasons: Sequence[str]) -> None:
        self.client.set_model_version_tag(name, version, "verdict", verdict)
        self.client.set_model_version_tag(name, version, "reasons", "; ".join(reasons)[:4000])


def _needed(path: Path | None, name: str, setting: str) -> Path:
    if path is None:
        raise SettingsError(f"Registry: {name} is needed here and was not given. See {setting}.")
    return path
