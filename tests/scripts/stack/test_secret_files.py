import json
import stat

from scripts.stack import secret_files


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_look_in(settings):
    assert mode(settings.secrets) == 0o700
    files = list(settings.secrets.iterdir())
    assert sorted(file.name for file in files) == [
        "airflow_passwords.json",
        "api_secret_key",
        "fernet_key",
        "jwt_secret",
        "label_studio_password",
        "label_studio_token",
        "mlflow_admin_password",
        "mlflow_pipeline_password",
        "mlflow_secret_key",
        "mlflow_serving_password",
    ]
    assert {mode(file) for file in files} == {0o600}


def test_loosened_modes_are_tightened_again(settings):
    settings.secrets.chmod(0o755)
    settings.password_file.chmod(0o644)

    secret_files.ensure(settings)

    assert mode(settings.secrets) == 0o700
    assert mode(settings.password_file) == 0o600


def test_secrets_stay_what_they_are(settings):
    before = {file.name: file.read_text() for file in settings.secrets.iterdir()}

    secret_files.ensure(settings)

    assert {file.name: file.read_text() for file in settings.secrets.iterdir()} == before


def test_the_password_file_is_what_airflows_auth_manager_reads(settings):
    passwords = json.loads(settings.password_file.read_text())

    users = ("admin", "housekeeping")
    assert passwords == {user: secret_files.airflow_password(settings, user) for user in users}
    assert len(passwords["admin"]) >= 20


def test_the_jwt_secret_is_long_enough_for_hs512(settings):
    assert len(secret_files.read(settings, "jwt_secret").encode()) >= 64


def test_the_fernet_key_encrypts(settings):
    from cryptography.fernet import Fernet

    fernet = Fernet(secret_files.read(settings, "fernet_key"))

    assert fernet.decrypt(fernet.encrypt(b"connection")) == b"connection"
