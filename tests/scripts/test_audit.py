"""The audit fails when it looked nothing up; a stand-in plays pip-audit."""

import sys

import pytest

from scripts import audit

FLAGGED = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-2014-8"}]}
CLEAN = {"name": "numpy", "version": "2.0", "vulns": []}
SKIPPED = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.fixture
def lock(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("numpy==2.0\n")
    return file


def stand_in(tmp_path, control, others=(CLEAN,), code=0):
    """Return a program that answers as pip-audit does, and writes down how it was called."""
    program = tmp_path / "pip_audit.py"
    program.write_text(
        "import json, pathlib, sys\n"
        "file = pathlib.Path(sys.argv[sys.argv.index('-r') + 1])\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))\n"
        f"found = {list(control)!r} if 'jinja2==2.4.1' in file.read_text() else {list(others)!r}\n"
        "print(json.dumps({'dependencies': found, 'fixes': []}))\n"
        f"print('No known vulnerabilities found', file=sys.stderr); sys.exit({code})\n"
    )
    return (sys.executable, str(program))


def test_a_control_that_is_not_flagged_fails_the_audit_in_words(tmp_path, lock, capsys):
    """What pip-audit 2.10.1 answers on a machine without the database: exit code 0, all skipped."""
    program = stand_in(tmp_path, control=[SKIPPED])

    assert audit.main(program, lock) == 2

    said = capsys.readouterr()
    assert "pip-audit did not flag jinja2==2.4.1, which has known advisories" in said.err
    assert "`pip-audit -r requirements.txt --require-hashes` on a machine that reaches" in said.err
    assert said.out == ""


def test_a_clean_answer_counts_when_the_control_is_flagged(tmp_path, lock, capsys):
    program = stand_in(tmp_path, control=[FLAGGED])

    assert audit.main(program, lock) == 0

    assert capsys.readouterr().out == "1 packages looked up, 0 with known advisories.\n"
    control, locked = (tmp_path / "calls").read_text().splitlines()
    assert "--no-deps" in control
    assert f"-r {lock} " in locked
    assert "--require-hashes" in locked


def test_an_advisory_fails_the_audit_and_is_named(tmp_path, lock, capsys):
    program = stand_in(tmp_path, control=[FLAGGED], others=[CLEAN, FLAGGED], code=1)

    assert audit.main(program, lock) == 1

    assert capsys.readouterr().out.splitlines() == [
        "jinja2 2.4.1: PYSEC-2014-8",
        "2 packages looked up, 1 with known advisories.",
    ]


@pytest.mark.parametrize("others", [[CLEAN, SKIPPED], []], ids=["one skipped", "none at all"])
def test_a_package_that_was_not_looked_up_is_not_called_clean(tmp_path, lock, capsys, others):
    assert audit.main(stand_in(tmp_path, control=[FLAGGED], others=others), lock) == 2


def test_no_report_fails_the_audit_with_what_was_said(lock, capsys):
    program = (sys.executable, "-c", "import sys; sys.exit('no network')")

    assert audit.main(program, lock) == 2

    said = capsys.readouterr().err
    assert "pip-audit gave no report on " in said
    assert said.rstrip().endswith("no network")
