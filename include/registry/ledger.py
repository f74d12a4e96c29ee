"""The promotion ledger: which model version serves is decided here, and nowhere else.

MLflow's aliases have no compare-and-set: of two promotions at once the later one would win, and a
repeated old one would bring an old model back. So the decision is an entry appended to a table of
the lake under the next number, which exactly one writer can get. It is signed: what serves can be
traced to who decided it and why. The aliases follow the ledger, and are repaired from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.errors import ConfigError, DataContractError
from include.lake.frames import arrow_schema
from include.lake.table import Lake
from include.registry import signing

STAGE = "promotions"
REFIT_OF = "refit_of"
"""Tag of a version that was fitted again with the holdout: which version the gate judged."""
_PARTITION = "ledger"
_COLUMNS = {
    "number": "int64",
    "version": "string",
    "evaluated_version": "string",
    "previous": "string",
    "as_of": "string",
    "known_up_to": "string",
    "package_sha256": "string",
    "who": "string",
    "why": "string",
    "evidence": "string",  # JSON: the verdict
    "run_id": "string",
    "promoted_at": "timestamp",
    "signature": "string",  # Ed25519, hexadecimal, over all the others
}


@dataclass(frozen=True)
class Promotion:
    """One entry.

    Attributes
    ----------
    number : int
        From 1, without gaps: the entry with the highest number says what serves.
    version : str
        The model version that became champion.
    evaluated_version : str
        The version that the gate judged: another one where `version` is its refit.
    previous : str or None
        The champion before it, which the verdict compared it with.
    as_of : str
        Of its training.
    known_up_to : str
        The newest partition that it learned from or was judged on. Only what is newer shows how
        good it is.
    package_sha256 : str
        Of its package's manifest.
    who : str
        A person's name at Airflow, or the Dag.
    why : str
        In words.
    evidence : str
        The verdict, JSON.
    run_id : str
        The run that decided.
    promoted_at : str
        ISO, UTC.
    """

    number: int
    version: str
    evaluated_version: str
    previous: str | None
    as_of: str
    known_up_to: str
    package_sha256: str
    who: str
    why: str
    evidence: str
    run_id: str
    promoted_at: str

    def signed_bytes(self, use_case: str) -> bytes:
        """Return what the signature is made over; the use case too, or an entry could be moved."""
        return json.dumps({"use_case": use_case, **asdict(self)}, sort_keys=True).encode()


class Ledger:
    """The promotions of one use case.

    Parameters
    ----------
    lake : Lake
        Holds the table.
    use_case : str
        Its name.
    verify_key : Path
        Public key; an entry that was not signed with its private half is refused.
    """

    def __init__(self, lake: Lake, use_case: str, verify_key: Path) -> None:
        self._table = lake.table(use_case, STAGE)
        self._use_case = use_case
        self._verify_key = verify_key

    def current(self) -> Promotion | None:
        """Return the newest entry: the champion. None before the first promotion.

        Raises
        ------
        DataContractError
            It was not signed with our key.
        """
        rows = self._rows()
        return self._verified(rows[-1]) if rows else None

    def entries(self) -> list[Promotion]:
        """Return all entries, oldest first, each verified."""
        return [self._verified(row) for row in self._rows()]

    def promote(
        self,
        *,
        version: str,
        instead_of: str | None,
        facts: Mapping[str, str],
        who: str,
        why: str,
        evidence: Mapping[str, Any],
        run_id: str,
        signing_key: Path,
    ) -> Promotion:
        """Make a version the champion, provided that `instead_of` still is.

        Idempotent for a run: the entry that it made is returned again.

        Parameters
        ----------
        version : str
            The new champion.
        instead_of : str or None
            The champion that the verdict compared it with; None when there was none.
        facts : mapping of str to str
            `as_of`, `known_up_to` and `package_sha256` of the version, and of a refit `refit_of`.
        who, why : str
            Who decided, and the reason.
        evidence : mapping
            The verdict, JSON values.
        run_id : str
            The run that decides.
        signing_key : Path
            Private key.

        Raises
        ------
        DataContractError
            Another champion serves by now, or this run's promotion was replaced since: nothing was
            changed.
        ConfigError
            The two keys are no pair: nothing was changed.
        """
        # Read once: what another attempt of this run appends in between must not look replaced.
        rows = self._rows()
        current = self._verified(rows[-1]) if rows else None
        if current is not None and (current.run_id, current.version) == (run_id, version):
            return current
        serves = current.version if current else None
        if serves != instead_of:
            raise self._overtaken(version, instead_of, serves)
        if any((row["run_id"], row["version"]) == (run_id, version) for row in rows):
            raise DataContractError(
                f"{self._use_case}: version {version} was promoted by this run and replaced since, "
                f"{serves} serves again. Nothing was changed: a run that is cleared does not undo "
                f"a rollback. Start {self._use_case}__deploy anew to judge the version again."
            )
        made = Promotion(
            number=current.number + 1 if current else 1,
            version=version,
            evaluated_version=facts.get(REFIT_OF, version),
            previous=serves,
            as_of=facts["as_of"],
            known_up_to=facts["known_up_to"],
            package_sha256=facts["package_sha256"],
            who=who,
            why=why,
            evidence=json.dumps(dict(evidence), sort_keys=True),
            run_id=run_id,
            promoted_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        )
        signature = signing.sign(made.signed_bytes(self._use_case), signing_key).hex()
        if not self._is_signed(made, signature):
            raise ConfigError(
                f"{signing_key}: the signing key must be the private half of {self._verify_key}, "
                "it is not. Nothing was changed: an entry that nobody believes would stop all "
                "later ones. Set FLYWHEEL_SIGNING_KEY and FLYWHEEL_VERIFY_KEY to one pair."
            )
        row = {**asdict(made), "promoted_at": datetime.fromisoformat(made.promoted_at)}
        data = pa.Table.from_pylist(
            [{**row, "signature": signature}], schema=arrow_schema(_COLUMNS)
        )
        self._table.append(
            data,
            partition=_PARTITION,
            schema=data.schema,
            app_id=_PARTITION,
            sequence=made.number,
            run_id=run_id,
            kept=True,
        )
        # Read back: another run, or another attempt of this one, may have got the number.
        stands = next(row for row in self._rows() if row["number"] == made.number)
        if (stands["run_id"], stands["version"]) != (run_id, version):
            raise self._overtaken(version, instead_of, stands["version"])
        return self._verified(stands)

    def _rows(self) -> list[dict[str, Any]]:
        if not self._table.exists():
            return []
        rows: list[dict[str, Any]] = self._table.read().to_pylist()
        return sorted(rows, key=lambda row: int(row["number"]))

    def _verified(self, row: Mapping[str, Any]) -> Promotion:
        fields = {name: row[name] for name in Promotion.__dataclass_fields__}
        fields["promoted_at"] = row["promoted_at"].isoformat(timespec="microseconds")
        promotion = Promotion(**fields)
        if not self._is_signed(promotion, row["signature"]):
            raise DataContractError(
                f"{self._table.name}: entry {promotion.number} must be signed with the private "
                f"half of {self._verify_key}, it is not. Nothing was changed. Find out who wrote "
                "into the lake; restore the table to the version before."
            )
        return promotion

    def _is_signed(self, promotion: Promotion, signature: str) -> bool:
        try:
            given = bytes.fromhex(signature)
        except ValueError:
            return False
        return signing.verify(promotion.signed_bytes(self._use_case), given, self._verify_key)

    def _overtaken(
        self, version: str, instead_of: str | None, serves: str | None
    ) -> DataContractError:
        return DataContractError(
            f"{self._use_case}: version {version} was judged against champion "
            f"{instead_of or 'none'}, but {serves or 'none'} serves now. Nothing was changed. "
            f"Start {self._use_case}__deploy again to judge it against the present champion."
        )
