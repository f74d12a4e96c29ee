"""Compare the locked packages with the database of security advisories: `make audit`.

pip-audit says "No known vulnerabilities found", with exit code 0, also when it reached no database
and looked nothing up. So a package with advisories that are known for years is looked up first:
when that one is not flagged the audit fails, because it would tell nothing about the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PROGRAM = (str(Path(sys.prefix) / "bin" / "uv"), "tool", "run", "pip-audit==2.10.1")
"""In an environment of its own: pip-audit needs pip, which the lock does not have."""
CONTROL = "jinja2==2.4.1"
"""Of 2010, with advisories such as CVE-2014-1402 and CVE-2019-10906."""


@dataclass
class Report:
    """What an audit found.

    Parameters
    ----------
    looked_up
        How many packages were compared with the database.
    flagged
        Advisories, by package.
    skipped
        Why a package could not be looked up, by package.
    """

    looked_up: int = 0
    flagged: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


class AuditFailed(Exception):  # noqa: N818 - says what happened
    """The audit could not be done; nothing is known about the packages."""


def audit(requirements: Path, *options: str, program: Sequence[str] = PROGRAM) -> Report:
    """Run pip-audit on a requirements file.

    Raises
    ------
    AuditFailed
        It gave no report, for example because it could not be installed.
    """
    command = [*program, "-r", str(requirements), "--disable-pip", "-f", "json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        end = "\n".join(done.stderr.splitlines()[-5:])
        raise AuditFailed(
            f"pip-audit gave no report on {requirements} (exit code {done.returncode}). The end of "
            f"what it said:\n{end}"
        ) from error
    report = Report()
    for each in dependencies:
        if "skip_reason" in each:
            report.skipped[each["name"]] = each["skip_reason"]
            continue
        report.looked_up += 1
        if each["vulns"]:
            name = f"{each['name']} {each['version']}"
            report.flagged[name] = [vulnerability["id"] for vulnerability in each["vulns"]]
    return report


def check_control(program: Sequence[str] = PROGRAM) -> None:
    """Raise AuditFailed unless the package that is known to be vulnerable is flagged."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "control.txt"
        file.write_text(f"{CONTROL}\n")
        if not audit(file, "--no-deps", program=program).flagged:
            raise AuditFailed(
                f"pip-audit did not flag {CONTROL}, which has known advisories: it reaches no "
                "advisory database from here, and its answer on other packages means nothing. Run "
                "`pip-audit -r requirements.txt --require-hashes` on a machine that reaches "
                "pypi.org (SECURITY.md)."
            )


def main(program: Sequence[str] = PROGRAM, requirements: Path = REPO / "requirements.txt") -> int:
    """Audit the lock; 0 when no advisory is known, 1 when one is, 2 when that is unknown."""
    try:
        check_control(program)
        report = audit(requirements, "--require-hashes", program=program)
    except AuditFailed as error:
        print(error, file=sys.stderr)
        return 2
    for name, advisories in report.flagged.items():
        print(f"{name}: {', '.join(advisories)}")
    for name, reason in report.skipped.items():
        print(f"{name} was not looked up: {reason}", file=sys.stderr)
    print(f"{report.looked_up} packages looked up, {len(report.flagged)} with known advisories.")
    if report.flagged:
        return 1
    return 2 if report.skipped or not report.looked_up else 0


if __name__ == "__main__":
    sys.exit(main())
