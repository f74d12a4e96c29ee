import pytest

from scripts.cluster import install, parts, services
from scripts.cluster.manager import places
from scripts.cluster.settings import MADE, ClusterSettings
from scripts.stack.settings import MARKER


def test_no_secret_is_on_a_command_line(settings, installed):
    of_services, of_wheel = places(settings)
    found = [*services.parts(settings, of_services), *parts.parts(settings, of_wheel)]

    assert {part.name for part in found} == {*services.NAMES, *parts.NAMES}
    for part in found:
        for field in MADE:
            assert settings.secret(field) not in " ".join(part.command), part.name


def test_each_part_has_a_home_of_its_own_and_its_groups_mark(settings, installed):
    _, place = places(settings)
    found = {part.name: part.environment for part in parts.parts(settings, place)}

    homes = [env["FLYWHEEL_HOME"] for env in found.values() if "FLYWHEEL_HOME" in env]
    assert len(homes) == len(set(homes)) == len(parts.NAMES) - 1  # nginx knows of no home
    assert {env[MARKER] for env in found.values()} == {str(place.home)}


def test_workers_take_their_own_queues(settings, installed):
    _, place = places(settings)
    found = {part.name: part.command for part in parts.parts(settings, place)}

    for name, queues in (("worker-1", "default,train"), ("worker-trusted", "trusted")):
        command = found[name]
        assert command[command.index("--queues") + 1] == queues
        assert command[command.index("--celery-hostname") + 1] == name


def test_a_service_runs_as_its_own_user_where_we_are_root(monkeypatch):
    command = ("postgres", "-D", "data")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert services.as_account("postgres", command) == command

    monkeypatch.setattr("os.geteuid", lambda: 0)
    account = type("Account", (), {"pw_uid": 101, "pw_gid": 102})()
    monkeypatch.setattr("pwd.getpwnam", lambda name: account)
    switched = services.as_account("postgres", command)
    assert switched[:3] == ("setpriv", "--reuid=101", "--regid=102")
    assert switched[-3:] == command


def test_a_service_without_its_user_says_what_installs_it(monkeypatch):
    def missing(name):
        raise KeyError(name)

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", missing)
    with pytest.raises(services.ConfigError, match="make cluster-install"):
        services.as_account("redis", ("redis-server",))


def test_redis_asks_for_its_password_on_loopback(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(services, "_initialise", lambda data, password: None)
    place, _ = places(settings)

    services.prepare(settings, place)

    file = place.home / "redis" / "redis.conf"
    lines = file.read_text().splitlines()
    assert f"requirepass {settings.secret('redis_password')}" in lines
    assert "bind 127.0.0.1" in lines
    assert file.stat().st_mode & 0o077 == 0


def test_a_service_that_does_not_run_is_told(tmp_path):
    ports = {
        name.removeprefix("FLYWHEEL_").lower(): int(port)
        for name, port in ClusterSettings.free_ports().items()
    }
    settings = ClusterSettings.with_secrets(cluster_home=tmp_path, **ports)

    found = parts.services_health(settings)

    assert found.keys() == set(services.NAMES)
    assert all(words.startswith("does not answer") for words in found.values()), found


def test_installing_without_root_names_the_command(monkeypatch):
    monkeypatch.setattr(install, "missing", lambda: ["redis-server", "nginx-light"])
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(install.ConfigError, match=r"sudo apt-get install .* redis-server nginx"):
        install.install()


def test_nothing_is_installed_when_all_is_there(monkeypatch):
    monkeypatch.setattr(install, "missing", list)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("ran something"))

    assert install.install() == []


def test_a_store_elsewhere_is_not_asked_for_the_health_of_a_service(settings, monkeypatch):
    """Its address may answer no `/healthz`, and then the cluster would never be healthy."""
    asked: list[str] = []
    monkeypatch.setattr(parts, "answers_at", lambda url: asked.append(url) or parts.HEALTHY)
    for name in ("_postgres", "_redis"):
        monkeypatch.setattr(parts, name, lambda _: parts.HEALTHY)

    elsewhere = settings.model_copy(update={"aws_endpoint_url": "aws"})

    assert parts.services_health(elsewhere)["s3"] == parts.HEALTHY
    assert asked == [f"http://127.0.0.1:{settings.s3_port}/healthz"]
