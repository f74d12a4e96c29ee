"""API keys: what is kept of them, and that a change counts at once."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.serving.keys import KeyFile


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "serving" / "keys.json")


def test_a_key_is_found_by_what_was_printed_and_the_file_has_its_digest_alone(
    keys: KeyFile,
) -> None:
    key, token = keys.make("billing", ["tiny"], days=90, rate=5)
    assert keys.find(token) == key
    text = keys.path.read_text()
    assert token not in text
    assert token.rpartition("_")[2] not in text
    assert json.loads(text)["keys"][0]["digest"] == sha256(token.encode()).hexdigest()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    expires = datetime.fromisoformat(key.expires_at or "")
    assert expires - datetime.fromisoformat(key.made_at) == timedelta(days=90)


def test_no_other_text_is_a_key(keys: KeyFile) -> None:
    key, token = keys.make("billing")
    _, other = keys.make("billing")
    mixed = f"fw_{key.id}_{other.split('_', 2)[2]}"
    wrong = ["", "fw_", token[:-1], f"{token}x", token.upper(), f" {token}", mixed, "ü", token * 9]
    assert [keys.find(one) for one in wrong] == [None] * len(wrong)


def test_another_process_that_makes_or_revokes_one_is_heard_at_once(keys: KeyFile) -> None:
    beside = KeyFile(keys.path)
    assert not keys.exists()
    first, old = keys.make("billing")
    second, new = beside.make("billing")
    assert (keys.find(old), keys.find(new)) == (first, second)
    assert beside.revoke(first.id) == first
    assert (keys.find(old), keys.find(new)) == (None, second)
    keys.path.unlink()
    assert keys.find(new) is None


def test_keys_that_are_made_at_the_same_time_are_all_there(keys: KeyFile) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: KeyFile(keys.path).make(f"n{n}"), range(24)))
    assert keys.keys().keys() == {key.id for key, _ in made}


def test_the_time_of_a_key_ends(keys: KeyFile) -> None:
    key, _ = keys.make("billing", days=1)
    made = datetime.fromisoformat(key.made_at)
    assert not key.has_expired(made + timedelta(hours=23))
    assert key.has_expired(made + timedelta(days=1))
    assert not keys.make("for_good")[0].has_expired(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("", {}, "NAME must be"),
        ("a b", {}, "NAME must be"),
        ("x" * 41, {}, "NAME must be"),
        ("a", {"days": 0}, "DAYS must be above 0"),
        ("a", {"days": float("nan")}, "DAYS must be above 0"),
        ("a", {"rate": -1}, "RATE must be above 0"),
    ],
)
def test_nonsense_makes_no_key(keys: KeyFile, name: str, more: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        keys.make(name, **more)  # type: ignore[arg-type]
    assert not keys.exists()


def test_a_key_that_is_not_there_is_not_revoked(keys: KeyFile) -> None:
    key, _ = keys.make("billing")
    with pytest.raises(ConfigError, match=rf"There is no key 'x'; there are \['{key.id}'\]"):
        keys.revoke("x")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": [{"id": "a"}]}', '{"keys": [1]}'])
def test_a_damaged_file_lets_nobody_in_and_is_not_written_over(keys: KeyFile, content: str) -> None:
    _, token = keys.make("billing")
    keys.path.write_text(content)
    for do in (lambda: keys.find(token), lambda: KeyFile(keys.path).make("other")):
        with pytest.raises(ConfigError, match="is no file of API keys"):
            do()
    assert keys.path.read_text() == content
