import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from include.errors import ConfigError
from include.registry import signing


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    pair = tmp_path / "keys" / "signing.pem", tmp_path / "keys" / "verify.pem"
    signing.ensure_keys(*pair)
    return pair


def test_what_is_signed_verifies_and_nothing_else(keys):
    private, public = keys
    signature = signing.sign(b"manifest", private)

    assert len(signature) == 64
    assert signing.verify(b"manifest", signature, public)
    assert not signing.verify(b"manifest2", signature, public)
    assert not signing.verify(b"manifest", b"\0" * 64, public)
    assert not signing.verify(b"manifest", b"", public)


def test_the_signature_is_ed25519_as_another_reader_of_the_key_sees_it(keys):
    private, public = keys
    key = load_pem_public_key(public.read_bytes())

    assert isinstance(key, ed25519.Ed25519PublicKey)
    key.verify(signing.sign(b"x", private), b"x")  # raises InvalidSignature otherwise
    with pytest.raises(InvalidSignature):
        key.verify(signing.sign(b"y", private), b"x")


def test_only_the_owner_can_read_the_private_key(keys):
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600


def test_existing_keys_are_kept_and_a_lost_public_key_is_derived(keys):
    before = keys[0].read_bytes(), keys[1].read_bytes()
    keys[1].unlink()

    signing.ensure_keys(*keys)

    assert (keys[0].read_bytes(), keys[1].read_bytes()) == before


def test_after_a_rotation_old_signatures_are_valid_until_the_key_is_withdrawn(keys):
    private, public = keys
    old = signing.sign(b"x", private)

    signing.rotate(private, public)
    new = signing.sign(b"x", private)
    assert new != old
    assert (signing.verify(b"x", old, public), signing.verify(b"x", new, public)) == (True, True)
    assert not signing.verify(b"y", old, public)
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}

    signing.rotate(private, public)
    newest = signing.sign(b"x", private)
    assert all(signing.verify(b"x", each, public) for each in (old, new, newest))

    signing.withdraw(private, public)
    assert [signing.verify(b"x", each, public) for each in (old, new, newest)] == [
        False,
        False,
        True,
    ]


def test_a_private_key_that_is_made_beside_public_ones_is_believed_beside_them(keys):
    """Where a backup was restored without its keys."""
    private, public = keys
    old = signing.sign(b"x", private)
    private.unlink()

    signing.ensure_keys(private, public)

    assert signing.verify(b"x", old, public)
    assert signing.verify(b"x", signing.sign(b"x", private), public)
    signing.check_pair(private, public)


def test_keys_that_are_no_pair_are_not_rotated(keys, tmp_path):
    other = tmp_path / "other.pem", tmp_path / "other_public.pem"
    signing.ensure_keys(*other)
    before = keys[0].read_bytes()
    for change in (signing.rotate, signing.withdraw):
        with pytest.raises(ConfigError, match="the first key must be the public half of"):
            change(keys[0], other[1])
    assert keys[0].read_bytes() == before


def test_one_damaged_block_among_several_is_refused(keys):
    """Otherwise a key that is believed today would be ignored without a word."""
    _, public = keys
    public.write_bytes(
        public.read_bytes() + b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    )
    with pytest.raises(ConfigError, match="the verifying key must be an Ed25519 public key"):
        signing.verify(b"x", b"", public)
    public.write_bytes(public.read_bytes()[:20])
    with pytest.raises(ConfigError, match="text that is no PEM block"):
        signing.verify(b"x", b"", public)


def test_processes_that_start_together_end_with_one_pair(tmp_path):
    pair = tmp_path / "signing.pem", tmp_path / "verify.pem"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: signing.ensure_keys(*pair), range(8)))

    assert signing.verify(b"x", signing.sign(b"x", pair[0]), pair[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["signing.pem", "verify.pem"]


def test_a_missing_private_key_is_named_with_its_setting(tmp_path):
    with pytest.raises(
        ConfigError, match=r"nowhere\.pem: the signing key must be .*FLYWHEEL_SIGNING_KEY"
    ):
        signing.sign(b"x", tmp_path / "nowhere.pem")


def test_garbage_is_no_public_key(tmp_path):
    (tmp_path / "verify.pem").write_text("not a key")
    with pytest.raises(ConfigError, match=r"the verifying key must be .*FLYWHEEL_VERIFY_KEY"):
        signing.verify(b"x", b"", tmp_path / "verify.pem")


def test_a_key_of_another_kind_is_refused(tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "rsa.pem").write_bytes(pem)
    with pytest.raises(ConfigError, match="must be Ed25519, got RSAPrivateKey"):
        signing.sign(b"x", tmp_path / "rsa.pem")


@pytest.mark.parametrize("where", ["before", "between", "behind"])
def test_text_beside_the_keys_is_refused(tmp_path, where):
    """A block that was damaged would otherwise be left out without a word."""
    found = []
    for name in ("first", "second"):
        signing.ensure_keys(tmp_path / name, tmp_path / f"{name}.pub")
        found.append((tmp_path / f"{name}.pub").read_bytes())
    assert len(signing.public_keys(b"".join(found), "verify.pem")) == 2
    found.insert(["before", "between", "behind"].index(where), b"-----BEGIN PUBLIC KEY\n")
    with pytest.raises(ConfigError, match=r"verify\.pem: the verifying key must be"):
        signing.public_keys(b"".join(found), "verify.pem")
