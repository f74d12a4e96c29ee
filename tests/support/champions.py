"""A champion in the promotion ledger, without any training."""

from __future__ import annotations

from pathlib import Path

from include.lake.table import Lake
from include.registry.ledger import Ledger, Promotion
from include.registry.signing import ensure_keys


def crown(
    home: Path,
    use_case: str,
    *,
    version: str = "1",
    evaluated_version: str | None = None,
    as_of: str = "2012-12",
    known_up_to: str = "2012-12",
) -> Promotion:
    """Make a version the champion, in the lake and with the keys of a home."""
    signing_key, verify_key = home / "keys" / "signing.pem", home / "keys" / "verify.pem"
    ensure_keys(signing_key, verify_key)
    ledger = Ledger(Lake(str(home / "lake")), use_case, verify_key)
    current = ledger.current()
    return ledger.promote(
        version=version,
        instead_of=current.version if current else None,
        facts={
            "as_of": as_of,
            "known_up_to": known_up_to,
            "package_sha256": "f" * 64,
            "refit_of": evaluated_version or version,
        },
        who="ann",
        why="a test",
        evidence={},
        run_id=f"test {version}",
        signing_key=signing_key,
    )
