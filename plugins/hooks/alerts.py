"""The ways out of Airflow for alerts: each is there where its connection is.

| connection | type | |
|---|---|---|
| `flywheel_alerts_smtp` | SMTP | extra: `from_email`; `to` (else the owner of the use case) |
| `flywheel_alerts_webhook` | HTTP | host, schema; the path, which is a secret, as password |
| `flywheel_alerts_sns` | AWS | extra: `target_arn` |
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from include.errors import ConfigError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from include.alerting.messages import Message

TIMEOUT_S = 10
"""For how long a channel may hold up the others."""
SMTP, WEBHOOK, SNS = (f"flywheel_alerts_{name}" for name in ("smtp", "webhook", "sns"))

Send = Callable[["Message", str], None]
"""Sends a message; the second argument is the owner of the use case."""


def channels() -> dict[str, Send]:
    """Return what sends, by connection: those connections that there are."""
    return {name: send for name, send in _SENDS.items() if _connection(name) is not None}


def _by_mail(message: Message, owner: str) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    extra = _needed(SMTP, "from_email")
    to = extra.get("to") or owner
    if "@" not in str(to):
        raise ConfigError(f"{SMTP}: {to!r} is no address. Give the connection an extra field `to`.")

    class Mail(SmtpHook):  # its own patience is six times 30 s
        timeout, smtp_retry_limit = TIMEOUT_S, 0

    with Mail(SMTP) as hook:
        hook.send_email_smtp(
            to=to,
            subject=message.subject,
            html_content=message.html,
            mime_subtype="alternative",
            from_email=extra["from_email"],
        )


def _by_webhook(message: Message, owner: str) -> None:
    from airflow.providers.http.hooks.http import HttpHook

    connection = _connection(WEBHOOK)
    path = (connection.password or "") if connection is not None else ""
    # The field `text` is Slack's, and Mattermost's, Rocket.Chat's and Google Chat's.
    text = escape(f"*{message.subject}*\n{message.text}", quote=False)
    body = {"text": text}
    HttpHook("POST", http_conn_id=WEBHOOK).run(
        path.lstrip("/"), json=body, extra_options={"timeout": TIMEOUT_S}
    )


def _by_sns(message: Message, owner: str) -> None:
    from airflow.providers.amazon.aws.hooks.sns import SnsHook
    from botocore.config import Config  # type: ignore[import-untyped]

    target = _needed(SNS, "target_arn")["target_arn"]
    patience = Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 1}
    )
    hook = SnsHook(aws_conn_id=SNS, config=patience)  # type: ignore[no-untyped-call]
    hook.publish_to_target(target, message.text, subject=message.subject[:100])


def _connection(name: str) -> Connection | None:
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None


def _needed(name: str, field: str) -> dict[str, str]:
    connection = _connection(name)
    extra = {} if connection is None else connection.extra_dejson
    if not extra.get(field):
        raise ConfigError(f"Airflow connection {name}: its extra must have `{field}`. Add it.")
    return dict(extra)


_SENDS: dict[str, Send] = {SMTP: _by_mail, WEBHOOK: _by_webhook, SNS: _by_sns}
