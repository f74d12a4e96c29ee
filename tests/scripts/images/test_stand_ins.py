"""Stand-ins are made only where an image cannot be had, and Docker's refusals are told."""

from __future__ import annotations

import stat

import pytest

from include.errors import ConfigError, ServiceUnavailable
from scripts.images import docker, flywheel, stand_ins

FAKE = """\
#!/bin/sh
echo "$DOCKER_BUILDKIT $*" >> {log}
case "$*" in
  "version --format {{{{.Client.Version}}}}") echo {version} ;;
  "buildx version") exit {buildx} ;;
  "image inspect "*) case "{present}" in *"$3"*) ;; *) exit 1 ;; esac ;;
  "pull --quiet "*) case "{pulled}" in *"$3"*) ;; *) exit 1 ;; esac ;;
  build*) exit {build} ;;
  broken*) echo "no engine" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Put a `docker` in the path that answers as it is told; return what it was asked."""
    log = tmp_path / "log"
    log.touch()

    def answers(present="", pulled="", version="20.10.24", buildx=1, build=0):
        program = tmp_path / "docker"
        program.write_text(
            FAKE.format(
                log=log, present=present, pulled=pulled, version=version, buildx=buildx, build=build
            )
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return lambda: log.read_text().splitlines()

    return answers


def built(lines):
    """Name the images that were built, in order."""
    return [line.split("--tag ")[1].split()[0] for line in lines if " build " in line]


def test_the_names_are_those_of_the_dockerfile_and_the_compose_file():
    found = stand_ins.named()

    assert found["PYTHON_IMAGE"] == "python:3.11-slim"
    assert found.keys() == {"PYTHON_IMAGE", *stand_ins.RECIPES}
    assert found["FLYWHEEL_POSTGRES_IMAGE"].startswith("postgres:")
    for recipe in ("python", *stand_ins.RECIPES.values()):
        assert (stand_ins.FOLDER / f"{recipe}.Dockerfile").exists()


def test_where_images_can_be_pulled_none_stands_in(engine):
    lines = engine(pulled=" ".join(stand_ins.named().values()))

    assert stand_ins.images(say=pytest.fail) == stand_ins.named()
    assert built(lines()) == []


def test_what_cannot_be_pulled_is_made_and_told(engine):
    rest = {name: image for name, image in stand_ins.named().items() if "REDIS" not in name}
    lines = engine(pulled=" ".join(rest.values()), present=stand_ins.DEBIAN)
    told = []

    found = stand_ins.images(say=told.append)

    assert found == {**rest, "FLYWHEEL_REDIS_IMAGE": "flywheel-redis:bookworm"}
    assert built(lines()) == ["flywheel-redis:bookworm"]
    assert told == [
        f"{stand_ins.named()['FLYWHEEL_REDIS_IMAGE']} cannot be pulled: a stand-in is used, from "
        "Debian's packages."
    ]


def test_debian_is_imported_once(engine, monkeypatch):
    rest = [image for name, image in stand_ins.named().items() if "REDIS" not in name]
    engine(pulled=" ".join(rest), present=stand_ins.DEBIAN)
    monkeypatch.setattr("os.geteuid", lambda: 1000)  # debootstrap would be refused

    assert stand_ins.images(say=lambda _: None)["FLYWHEEL_REDIS_IMAGE"] == "flywheel-redis:bookworm"


def test_the_object_stores_program_is_downloaded_by_the_image_with_python(engine):
    rest = [image for name, image in stand_ins.named().items() if "S3" not in name]
    lines = engine(pulled=" ".join(rest), present=stand_ins.DEBIAN)

    stand_ins.images(say=lambda _: None)

    assert built(lines()) == ["flywheel-python:bookworm", "flywheel-s3:bookworm"]
    assert "--build-arg PYTHON_IMAGE=flywheel-python:bookworm" in lines()[-1]


def test_without_root_a_first_stand_in_says_what_to_do(engine, monkeypatch):
    engine()
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(ConfigError, match="Run `sudo make image` once"):
        stand_ins.images(say=lambda _: None)


def test_certificates_reach_the_build_as_a_secret_alone(engine, monkeypatch):
    monkeypatch.setenv(docker.CERTIFICATES, "/etc/ssl/own.pem")
    lines = engine()

    flywheel.build("python:x")

    (line,) = [line for line in lines() if " build " in line]
    assert line.startswith("1 build --network host --tag flywheel:local ")
    assert line.count("own.pem") == 1
    assert "--secret id=certificates,src=/etc/ssl/own.pem" in line
    assert "--build-arg CODE_VERSION=" in line


def test_a_build_that_fails_is_an_error_that_names_the_image(engine):
    engine(build=1)

    with pytest.raises(ServiceUnavailable, match="flywheel:local was not built"):
        flywheel.build("python:x")


@pytest.mark.parametrize(
    ("version", "buildx", "found"),
    [("20.10.24", 1, True), ("28.2.2", 1, False), ("28.2.2", 0, True)],
)
def test_a_docker_that_cannot_build_with_secrets_is_passed_over(
    engine, version, buildx, found, tmp_path, monkeypatch
):
    engine(version=version, buildx=buildx)
    monkeypatch.setenv("PATH", str(tmp_path))
    if found:
        assert docker.docker() == str(tmp_path / "docker")
    else:
        with pytest.raises(ConfigError, match="from 23 on with its plugin buildx"):
            docker.docker()


def test_what_docker_says_is_told(engine):
    engine()

    with pytest.raises(ServiceUnavailable, match=r"`docker broken` failed: no engine"):
        docker.run("broken")
