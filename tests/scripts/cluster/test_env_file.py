import base64
import re
import stat

import pytest

from include.errors import ConfigError
from include.registry import signing
from scripts.cluster import env_file
from scripts.cluster.environment import files
from scripts.cluster.settings import MADE, ClusterSettings


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cluster.env"


@pytest.fixture
def made(file, tmp_path):
    env_file.ensure(file, {"FLYWHEEL_CLUSTER_HOME": str(tmp_path / "home")})
    return file


def test_a_new_file_is_the_owners_and_has_every_secret(made):
    found = env_file.read(made)

    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    for field in MADE:
        assert len(found[ClusterSettings.variable(field)]) >= 20, field
    assert len({found[ClusterSettings.variable(field)] for field in MADE}) == len(MADE)


def test_two_files_have_no_secret_in_common(made, tmp_path):
    other = tmp_path / "other" / "cluster.env"
    env_file.ensure(other, {"FLYWHEEL_CLUSTER_HOME": str(tmp_path / "other")})

    first, second = env_file.read(made), env_file.read(other)
    assert not set(first.values()) & set(second.values())


def test_a_new_file_keeps_the_keys_that_it_is_given(made, tmp_path):
    """A restore into a new cluster rests on the former's keys."""
    given = ("FLYWHEEL_FERNET_KEY", "FLYWHEEL_SIGNING_KEY_BASE64", "FLYWHEEL_VERIFY_KEY_BASE64")
    former = env_file.read(made)
    other = tmp_path / "other.env"

    added = env_file.ensure(other, {name: former[name] for name in given})

    found = env_file.read(other)
    assert {name: found[name] for name in given} == {name: former[name] for name in given}
    assert found["FLYWHEEL_REDIS_PASSWORD"] != former["FLYWHEEL_REDIS_PASSWORD"]
    assert {ClusterSettings.variable(field) for field in MADE} <= {*added}


def test_the_keys_are_a_pair(made, tmp_path):
    for name, content in files("trusted", env_file.load(made)).items():
        (tmp_path / name).write_bytes(content)

    signature = signing.sign(b"data", tmp_path / "signing.pem")
    assert signing.verify(b"data", signature, tmp_path / "verify.pem")


def test_a_verifying_key_of_another_pair_is_refused(made):
    """With it nothing that is signed would be believed."""
    lines = made.read_text().splitlines()
    index = next(n for n, line in enumerate(lines) if line.startswith("FLYWHEEL_SIGNING_KEY"))
    lines[index] = f"FLYWHEEL_SIGNING_KEY_BASE64={MADE['signing_key_base64']()}"
    made.write_text("\n".join(lines))

    with pytest.raises(ConfigError, match="FLYWHEEL_VERIFY_KEY_BASE64 must be the public half"):
        env_file.ensure(made)


def test_a_second_time_changes_nothing(made):
    before = made.read_bytes()

    assert env_file.ensure(made) == []
    assert made.read_bytes() == before


def test_what_is_missing_is_added_and_what_is_there_is_kept(made):
    before = env_file.read(made)
    lines = [line for line in made.read_text().splitlines() if "REDIS" not in line]
    made.write_text("\n".join(lines))

    assert env_file.ensure(made) == ["FLYWHEEL_REDIS_PASSWORD"]
    after = env_file.read(made)
    assert after.pop("FLYWHEEL_REDIS_PASSWORD") != before.pop("FLYWHEEL_REDIS_PASSWORD")
    assert after == before
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_secret_without_a_value_is_made_and_its_line_is_replaced(made):
    """A name that is in the file twice would be refused from then on."""
    before = env_file.read(made)
    for name in ("FLYWHEEL_REDIS_PASSWORD", "FLYWHEEL_VERIFY_KEY_BASE64"):
        made.write_text(made.read_text().replace(f"{name}={before[name]}", f"{name}="))

    assert sorted(env_file.ensure(made)) == [
        "FLYWHEEL_REDIS_PASSWORD",
        "FLYWHEEL_VERIFY_KEY_BASE64",
    ]
    after = env_file.read(made)
    assert len(after["FLYWHEEL_REDIS_PASSWORD"]) == 48
    assert after | {"FLYWHEEL_REDIS_PASSWORD": before["FLYWHEEL_REDIS_PASSWORD"]} == before


@pytest.mark.parametrize("name", ["FLYWHEEL_SIGNING_KEY_BASE64", "FLYWHEEL_VERIFY_KEY_BASE64"])
@pytest.mark.parametrize("value", ["secret1", "c2VjcmV0MQ=="])
def test_a_key_that_is_none_is_refused_without_its_value(made, name, value):
    known = env_file.read(made)
    made.write_text(made.read_text().replace(known[name], value))

    with pytest.raises(ConfigError, match=f"{name} must be") as refused:
        env_file.ensure(made)
    assert "secret1" not in str(refused.value)


def test_public_keys_that_are_none_reach_no_part(made):
    """Behind the present key too: every verification would end in an error."""
    known = env_file.read(made)["FLYWHEEL_VERIFY_KEY_BASE64"]
    damaged = base64.b64encode(base64.b64decode(known) + b"garbage").decode()
    for value in ("no base64", damaged, f"{known}=AAAA"):
        made.write_text(made.read_text().replace(known, value))
        with pytest.raises(ConfigError, match="FLYWHEEL_VERIFY_KEY_BASE64: the verifying key must"):
            files("worker", env_file.load(made))
        made.write_text(made.read_text().replace(value, known))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("FLYWHEEL_LAKE_URI=/data/lake", "FLYWHEEL_LAKE_URI: must be s3://bucket/prefix"),
        ("FLYWHEEL_LOGS_URI=s3:/logs", "FLYWHEEL_LOGS_URI: must be s3://bucket/prefix"),
        ("FLYWHEEL_LANDING_URI=s3://", "FLYWHEEL_LANDING_URI: must be s3://bucket/prefix"),
        ("FLYWHEEL_LANDING_URI=s3://flywheel/lake/in", r"must not lie in FLYWHEEL_LAKE_URI"),
        ("FLYWHEEL_LANDING_URI=s3://flywheel/lake", r"must not lie in"),
        ("FLYWHEEL_ARTIFACTS_URI=s3://flywheel", r"must not lie in FLYWHEEL_ARTIFACTS_URI"),
    ],
)
def test_places_that_parts_do_not_share_or_that_overlap_are_refused(made, line, words):
    """A restore empties each of them: one in the other would be gone."""
    with made.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ConfigError, match=words):
        env_file.load(made)


def test_places_may_have_names_that_begin_alike(made):
    with made.open("a") as file:
        file.write(
            "FLYWHEEL_LANDING_URI=s3://flywheel/lake-landing/\nFLYWHEEL_LOGS_URI=s3://logs\n"
        )
    assert env_file.load(made).logs_uri == "s3://logs"


def test_without_a_public_key_nothing_starts(made):
    """An empty one would let every signature be refused."""
    lines = [line for line in made.read_text().splitlines() if "VERIFY_KEY" not in line]
    made.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="VERIFY_KEY_BASE64 is not set"):
        files("serving", env_file.load(made))


def test_without_a_file_make_secrets_is_named(file):
    with pytest.raises(ConfigError, match=r"does not exist\. Make it with `make secrets`\."):
        env_file.load(file)


def test_a_file_that_others_may_read_is_refused(made):
    made.chmod(0o640)

    with pytest.raises(ConfigError, match=re.escape(f"chmod 600 {made}")):
        env_file.load(made)


@pytest.mark.parametrize(
    "line",
    [
        "export A=1",
        'A="secret1"',
        "A='secret1'",
        "a=secret1",
        "A",
        "A=secret1 # note",
        "A=$secret1",
        "secret1",
        "secret1/=",
    ],
)
def test_a_line_that_compose_would_read_differently_is_refused_without_its_value(file, line):
    file.write_text(f"# settings\n\n{line}\n")
    file.chmod(0o600)

    with pytest.raises(ConfigError, match="line 3") as refused:
        env_file.read(file)
    assert "secret1" not in str(refused.value)


def test_a_name_that_is_set_twice_is_refused(file):
    file.write_text("A=1\nA=2\n")
    file.chmod(0o600)

    with pytest.raises(ConfigError, match=r"line 2: A is set twice"):
        env_file.read(file)


def test_a_value_may_hold_spaces_and_equal_signs(file):
    file.write_text("FLYWHEEL_HOUSEKEEPING_CRON=0 0 1 1 *\nB=a=b==\n")
    file.chmod(0o600)

    assert env_file.read(file) == {"FLYWHEEL_HOUSEKEEPING_CRON": "0 0 1 1 *", "B": "a=b=="}
