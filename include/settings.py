"""Where things are, read from the environment: what differs between two deployments."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from include.errors import SettingsError

REPO = Path(__file__).resolve().parent.parent

LANDING_POLL_S = 0.5  # a look at a folder takes about a millisecond

# An outage of the store should reach the operator, whose retries Airflow shows, and not hide for
# the three minutes that the store's client would go on by default.
_PATIENCE = {"max_retries": "5", "retry_timeout": "30s"}


StorageOptions = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Options for S3, or a function that gives them as they are now: a login may be renewed."""


def current(options: StorageOptions) -> dict[str, str]:
    """Return options as they are now."""
    return dict(options() if callable(options) else options)


def _found(path: Path) -> Path:
    """Make a path absolute; of '~nobody' there is no home."""
    try:
        return path.expanduser().resolve()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def _digits(value: object) -> object:
    """Refuse what `int` would take besides, such as ' 80', '8_0' and '80.0'."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("not a row of digits")
    return value


Port = Annotated[
    int, BeforeValidator(_digits), Field(ge=1, le=65535, description="a port from 1 to 65535")
]
LandingPoll = Annotated[
    float, Field(ge=0.1, le=3600, description="a number of seconds from 0.1 to 3600")
]
ServingPoll = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False, description="a number of seconds above 0"),
]
Cron = Annotated[
    str, Field(pattern=r"^(\S+ ){4}\S+$", description="five fields of cron, like '*/10 * * * *'")
]
LogFormat = Annotated[Literal["text", "json"], Field(description="text or json")]
Switch = Annotated[bool, Field(description="0 or 1")]


class EnvironmentSettings(BaseSettings):
    """Base of all settings: fields named as their variables, which begin with `FLYWHEEL_`.

    A field's `description` completes "must be ..." in the message about a wrong value. The
    constructor takes what it is given; `from_env` alone reads the environment.
    """

    model_config = SettingsConfigDict(
        env_prefix="FLYWHEEL_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        validate_default=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the constructor's arguments alone as source."""
        return (init_settings,)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the settings; a variable that is set but empty counts as not set.

        Parameters
        ----------
        env : mapping of str to str, optional
            Default: the environment of this process, as it is now.

        Raises
        ------
        SettingsError
            A variable has a wrong value: which, the rule, what was found.
        """
        source = EnvSettingsSource(cls)
        source.env_vars = {
            name.lower(): value
            for name, value in (os.environ if env is None else env).items()
            if value
        }
        try:
            return cls(**source())
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            # A default that is made from a wrong value is no second problem.
            real = [p for p in problems if p["type"] != "default_factory_not_called"]
            raise SettingsError("\n".join(map(cls._told, real))) from None  # it may hold secrets

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the environment variable of a field."""
        return str(cls.model_fields[field].validation_alias or f"FLYWHEEL_{field.upper()}")

    @classmethod
    def _told(cls, problem: Any) -> str:
        if not problem["loc"]:
            return str(problem["msg"]).removeprefix("Value error, ")
        names = {cls.variable(name): name for name in cls.model_fields}
        field = names.get(problem["loc"][0], problem["loc"][0])
        about = cls.model_fields[field]
        return (
            f"environment variable {cls.variable(field)}: must be {about.description}, got "
            f"{problem['input']!r}. Correct it, or unset it for {about.default}."
        )


class Settings(EnvironmentSettings):
    """Where things are.

    Attributes
    ----------
    home : Path
        Folder of everything local (`FLYWHEEL_HOME`, default `<repository>/.flywheel`).
    landing_uri : str
        Where files land: a folder or `s3://` (`FLYWHEEL_LANDING_URI`).
    lake_uri : str
        Where the tables are: a folder or `s3://` (`FLYWHEEL_LAKE_URI`).
    use_cases : Path
        Folder of the use cases (`FLYWHEEL_USE_CASES`, default `<repository>/include/use_cases`).
    mlflow_port, serving_port : int
        Of the local servers (`FLYWHEEL_MLFLOW_PORT`, `FLYWHEEL_SERVING_PORT`).
    serving_host : str
        Interface that the prediction service binds to (`FLYWHEEL_SERVING_HOST`).
    serving_poll_s : float
        Seconds between two looks for a new champion (`FLYWHEEL_SERVING_POLL_S`).
    serving_hosts : str
        Names by which clients reach it, with commas; `*` for any (`FLYWHEEL_SERVING_HOSTS`).
    serving_keys : Path
        File of its API keys (`FLYWHEEL_SERVING_KEYS`, default `<home>/serving/keys.json`).
    serving_open : bool
        Whether it may listen beyond loopback without API keys (`FLYWHEEL_SERVING_OPEN`).
    tracking_uri : str
        MLflow's server (`MLFLOW_TRACKING_URI`, or a local one at `FLYWHEEL_MLFLOW_PORT`).
    serving_url : str
        The prediction service (`FLYWHEEL_SERVING_URL`, or a local one at `FLYWHEEL_SERVING_PORT`).
    signing_key, verify_key : Path
        Ed25519 keys of model packages and promotions, PEM (`FLYWHEEL_SIGNING_KEY`,
        `FLYWHEEL_VERIFY_KEY`).
    landing_poll_s : float
        Seconds between two looks at the landing, from 0.1 to 3600 (`FLYWHEEL_LANDING_POLL_S`).
    housekeeping_cron : str
        When lost events are looked for, UTC (`FLYWHEEL_HOUSEKEEPING_CRON`).
    warm_tasks : bool
        Whether the scheduler imports heavy libraries for its tasks (`FLYWHEEL_WARM_TASKS`).
    log_format : str
        How servers write their logs, `text` or `json` (`FLYWHEEL_LOG_FORMAT`).
    code_version : str
        Version of the code where there is no git, such as in an image (`FLYWHEEL_CODE_VERSION`).
    lake_aws_conn_id, landing_aws_conn_id : str
        Airflow's connections of type AWS, for tasks and the watcher (`FLYWHEEL_LAKE_AWS_CONN_ID`,
        `FLYWHEEL_LANDING_AWS_CONN_ID`); of no use where the two are folders.
    aws_access_key_id, aws_secret_access_key, aws_session_token : SecretStr or None
        Login to S3 (`AWS_ACCESS_KEY_ID`, and so on).
    aws_region, aws_default_region, aws_endpoint_url, aws_allow_http : str or None
        Where S3 is (`AWS_REGION`, and so on).
    """

    home: Annotated[Path, AfterValidator(_found), Field(description="a path of a folder")] = (
        REPO / ".flywheel"
    )
    landing_uri: str = Field(default_factory=lambda known: str(known["home"] / "landing"))
    lake_uri: str = Field(default_factory=lambda known: str(known["home"] / "lake"))
    use_cases: Path = REPO / "include" / "use_cases"
    mlflow_port: Port = 5000
    serving_port: Port = 8000
    serving_host: str = "127.0.0.1"
    serving_poll_s: ServingPoll = 2.0
    serving_hosts: str = "127.0.0.1,localhost,[::1]"
    serving_keys: Path = Field(
        default_factory=lambda known: known["home"] / "serving" / "keys.json"
    )
    serving_open: Switch = False
    tracking_uri: str = Field(
        default_factory=lambda known: f"http://127.0.0.1:{known['mlflow_port']}",
        validation_alias="MLFLOW_TRACKING_URI",
    )
    serving_url: str = Field(
        default_factory=lambda known: f"http://127.0.0.1:{known['serving_port']}"
    )
    signing_key: Path = Field(default_factory=lambda known: known["home"] / "keys" / "signing.pem")
    verify_key: Path = Field(default_factory=lambda known: known["home"] / "keys" / "verify.pem")
    landing_poll_s: LandingPoll = LANDING_POLL_S
    housekeeping_cron: Cron = "*/10 * * * *"
    warm_tasks: Switch = True
    log_format: LogFormat = "text"
    code_version: str = ""
    lake_aws_conn_id: str = "aws_default"
    landing_aws_conn_id: str = "aws_default"
    aws_access_key_id: SecretStr | None = Field(None, validation_alias="AWS_ACCESS_KEY_ID")
    aws_secret_access_key: SecretStr | None = Field(None, validation_alias="AWS_SECRET_ACCESS_KEY")
    aws_session_token: SecretStr | None = Field(None, validation_alias="AWS_SESSION_TOKEN")
    aws_region: str | None = Field(None, validation_alias="AWS_REGION")
    aws_default_region: str | None = Field(None, validation_alias="AWS_DEFAULT_REGION")
    aws_endpoint_url: str | None = Field(None, validation_alias="AWS_ENDPOINT_URL")
    aws_allow_http: str | None = Field(None, validation_alias="AWS_ALLOW_HTTP")

    def storage_options(self) -> dict[str, str]:
        """Options for S3, from the `AWS_` variables; empty when lake and landing are folders."""
        if not any(uri.startswith("s3://") for uri in (self.lake_uri, self.landing_uri)):
            return {}
        given = {
            name.upper(): value
            for name, value in self
            if name.startswith("aws_") and value is not None
        }
        return _PATIENCE | {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in given.items()
        }
