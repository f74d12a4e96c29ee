"""Making, listing and revoking API keys in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.serving.keys import KeyFile
from scripts.api_key import main


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFile:
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    return KeyFile(tmp_path / "serving" / "keys.json")


def test_the_key_alone_is_on_standard_output_so_that_it_can_be_piped(
    keys: KeyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["make", "billing", "--use-cases", "flight_delays,digits", "--rate", "5"]) == 0
    first = capsys.readouterr()
    key = keys.find(first.out.strip())
    assert key is not None
    assert key.use_cases == ("flight_delays", "digits")
    assert "From now on" in first.err
    assert first.out.strip() not in first.err
    assert main(["make", "billing", "--use-cases", ""]) == 0
    second = capsys.readouterr()
    assert "From now on" not in second.err

    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert f"{key.id}  billing: flight_delays, digits, for good, 5 requests a second" in shown
    assert "billing: every use case, for good" in shown
    assert key.digest not in shown

    assert main(["revoke", key.id]) == 0
    assert f"Revoked: {key.id}  billing" in capsys.readouterr().out
    assert keys.keys().keys() == {second.out.split("_")[1]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make", "a", "--use-cases", "flights"], "there is no use case 'flights'; there are ["),
        (["make", ""], "NAME must be"),
        (["revoke", "x"], "There is no key 'x'"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    keys: KeyFile, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 1
    assert said in capsys.readouterr().err
    assert not keys.exists()


def test_without_keys_the_list_says_so(keys: KeyFile, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "There are no keys.\n"
