"""What is read of the tools' output, with programs that stand for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load_tools import Load, as_fast_as_answered, at_rate
from include.errors import ConfigError

WRK = """#!/bin/sh
test "$1 $2 $3" = "-t1 -c32 -d4s" || exit 3
echo 'Running 4s test'
echo '{"requests": 400, "seconds": 4.0, "refused": 40, "broken": 2, "p50_ms": 5, "p99_ms": 9}'
"""
H2LOAD = """#!/bin/sh
for each in "$@"; do case $each in
  --log-file=*) log=${each#--log-file=};;
  --rps=*) test "$each" = "--rps=2.000" || exit 3;;
esac; done
{ for ms in 1 2 3 4; do printf '17000\\t200\\t%s000\\n' $ms; done
  printf '17000\\t503\\t90000\\n17000\\t-1\\t100\\n'; } > "$log"
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("wrk", WRK), ("h2load", H2LOAD)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.usefixtures("tools")
def test_wrk_counts_good_answers() -> None:
    found = as_fast_as_answered("http://localhost", [b"{}"], connections=32, seconds=4)
    assert found == Load(90.0, 10.0, 2, 5.0, 9.0)


@pytest.mark.usefixtures("tools")
def test_h2load_counts_good_answers_and_their_latency_alone() -> None:
    found = at_rate("http://localhost", b"{}", per_s=512, seconds=2)
    assert (found.good_per_s, found.refused_per_s, found.broken) == (2.0, 0.5, 1)
    assert found.p50_ms == 2.5
    assert 3.9 < found.p99_ms < 5.0


def test_a_tool_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="wrk is needed, and is not installed"):
        as_fast_as_answered("http://localhost", [b"{}"], connections=1, seconds=1)
