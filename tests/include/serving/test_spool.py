from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.serving import spool
from include.serving.spool import claim, day_of, sequence_of, use_case_of

DAY = "2026-01-31"


def names(spools: list[spool.Spool]) -> list[list[str]]:
    return [[path.name for path in each.waiting()] for each in spools]


def test_a_journal_tells_what_it_is(tmp_path: Path) -> None:
    (own,) = claim(tmp_path)
    own.write("tiny", DAY, b"1\n")
    own.write("tiny", DAY, b"2\n")
    assert own.waiting() == []
    own.seal()
    (path,) = own.waiting()
    assert path.read_bytes() == b"1\n2\n"
    assert (use_case_of(path), day_of(path), sequence_of(path)) == ("tiny", DAY, 1)
    assert own.size_bytes() == 4


def test_use_cases_and_days_have_their_own_journals(tmp_path: Path) -> None:
    (own,) = claim(tmp_path)
    for use_case, day in [("a", DAY), ("b", DAY), ("a", "2026-02-01"), ("a", DAY)]:
        own.write(use_case, day, b"x\n")
    own.seal()
    assert names([own]) == [
        [
            "000000000001.a.2026-01-31.jsonl",
            "000000000002.b.2026-01-31.jsonl",
            "000000000003.a.2026-02-01.jsonl",
        ]
    ]


def test_a_sequence_is_never_used_twice(tmp_path: Path) -> None:
    (own,) = claim(tmp_path)
    own.write("a", DAY, b"x\n")
    own.seal()
    own.waiting()[0].unlink()
    own.close()
    (again,) = claim(tmp_path)
    assert again.replica == own.replica
    again.write("a", DAY, b"y\n")
    again.seal()
    assert [sequence_of(path) for path in again.waiting()] == [2]


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    code = (
        "import os, sys, signal, pathlib\n"
        "from include.serving.spool import claim\n"
        "own, = claim(pathlib.Path(sys.argv[1]))\n"
        "own.write('a', '2026-01-31', b'1\\n')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path.cwd(), check=False)
    assert done.returncode == -9
    (heir,) = claim(tmp_path)
    assert [path.read_bytes() for path in heir.waiting()] == [b"1\n"]
    heir.write("a", DAY, b"2\n")
    assert len(heir.waiting()) == 1, "what the dead process left is not written on"


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    (first,) = claim(tmp_path)
    (second,) = claim(tmp_path)
    assert first.replica != second.replica
    for each in (first, second):
        each.write("a", DAY, b"x\n")
        each.close()
    both = claim(tmp_path)
    assert {each.replica for each in both} == {first.replica, second.replica}
    assert [len(each) for each in names(both)] == [1, 1]


def test_a_journal_goes_on_while_older_ones_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FULL_BYTES", 10)
    (own,) = claim(tmp_path)
    own.write("a", DAY, b"1\n")
    own.seal()
    own.write("a", DAY, b"2\n")
    own.write("b", DAY, b"x\n")
    own.seal()
    assert [sequence_of(path) for path in own.waiting()] == [1, 3], "b has nothing that waits"
    own.write("a", DAY, b"12345678\n")
    own.seal()
    assert [sequence_of(path) for path in own.waiting()] == [1, 2, 3], "full ones are closed"
    own.write("a", DAY, b"4\n")
    own.seal(everything=True)
    assert [sequence_of(path) for path in own.waiting()] == [1, 2, 3, 4]


def test_nothing_is_written_behind_half_a_line(tmp_path: Path) -> None:
    (own,) = claim(tmp_path)
    own.write("a", DAY, b"1\n")
    path, journal = own._open["a", DAY]

    class Full:
        name = str(path)

        def write(self, line: bytes) -> int:
            return journal.write(line[:1]) or 0

        def close(self) -> None:
            journal.close()

    own._open["a", DAY] = (path, Full())  # type: ignore[assignment]
    with pytest.raises(OSError, match="only part of a line"):
        own.write("a", DAY, b"2\n")
    own.write("a", DAY, b"3\n")
    own.seal(everything=True)
    assert [path.read_bytes() for path in own.waiting()] == [b"1\n2", b"3\n"]


def test_a_damaged_counter_is_not_guessed(tmp_path: Path, caplog: Any) -> None:
    (own,) = claim(tmp_path)
    own.write("a", DAY, b"x\n")
    own.close()
    (tmp_path / own.replica / "next_sequence").write_text("")
    (other,) = claim(tmp_path)
    assert other.replica != own.replica
    assert "is damaged and left alone" in caplog.text
