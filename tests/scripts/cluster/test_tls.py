"""HTTPS by two settings: a certificate and its key."""

from __future__ import annotations

import pytest

from include.errors import ConfigError, SettingsError
from scripts.cluster import parts
from scripts.cluster.manager import places
from scripts.cluster.settings import ClusterSettings
from tests.support.certificates import self_made

BOTH = ("FLYWHEEL_TLS_CERTIFICATE", "FLYWHEEL_TLS_KEY")


@pytest.mark.parametrize(("given", "missing"), [BOTH, BOTH[::-1]])
def test_one_without_the_other_is_refused_and_named(given, missing):
    with pytest.raises(SettingsError, match=f"{given} is set and {missing} is not"):
        ClusterSettings.from_env({given: "/etc/own.pem"})


def test_what_is_empty_counts_as_not_set():
    """docker-compose hands over empty values."""
    assert ClusterSettings.from_env(dict.fromkeys(BOTH, "")).tls_key is None


def test_with_both_a_person_goes_by_https_and_the_other_parts_do_not(tmp_path):
    certificate, key = self_made(tmp_path)
    settings = ClusterSettings.from_env(
        {"FLYWHEEL_TLS_CERTIFICATE": str(certificate), "FLYWHEEL_TLS_KEY": str(key)}
    )
    assert settings.public_serving_url == "https://127.0.0.1:8000"
    assert settings.serving_url == "http://127.0.0.1:8003"
    plain = ClusterSettings()
    assert plain.public_serving_url == plain.serving_url == "http://127.0.0.1:8000"


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Prepare the wheel's folder without changing owners; give the balancer's folder."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    def prepare(**more):
        settings = ClusterSettings.with_secrets(cluster_home=tmp_path / "home", **more)
        (tmp_path / "home").mkdir()
        _, place = places(settings)
        parts.prepare(settings, place)
        return place.home / "balancer"

    return prepare


def test_nginx_gets_copies_that_it_may_read_and_nobody_else(prepared, tmp_path):
    certificate, key = self_made(tmp_path)
    folder = prepared(tls_certificate=certificate, tls_key=key)

    assert (folder / "key.pem").read_bytes() == key.read_bytes()
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    text = (folder / "nginx.conf").read_text()
    assert "listen 127.0.0.1:8000 ssl;" in text
    assert "listen 127.0.0.1:8003;" in text


def test_without_a_certificate_nothing_answers_https(prepared):
    text = (prepared() / "nginx.conf").read_text()

    assert "ssl" not in text
    assert "listen 127.0.0.1:8000;" in text
    assert "8003" not in text


def test_a_file_that_is_missing_is_named(prepared, tmp_path):
    certificate, _ = self_made(tmp_path)

    with pytest.raises(ConfigError, match=r"missing.pem cannot be read .*FLYWHEEL_TLS_KEY name"):
        prepared(tls_certificate=certificate, tls_key=tmp_path / "missing.pem")
