"""Alerts arrive at real servers: mail, a webhook that also hangs or refuses, and SNS."""

from __future__ import annotations

import email
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from aiosmtpd.controller import Controller
from moto import mock_aws

from include.alerting.messages import Message
from include.errors import ConfigError
from plugins.hooks import alerts
from plugins.hooks.alerts import SMTP, SNS, WEBHOOK, channels
from tests.support.webhook import Sink, webhook

MESSAGE = Message("[Flywheel] flights: rows are late", "No rows <b>have</b> come.\n\nOwner: ann\n")
SHOWN = "No rows &lt;b&gt;have&lt;/b&gt; come.\n\nOwner: ann\n"
OWNER = "ann@example.com"


@pytest.fixture
def connect(monkeypatch):
    """Make Airflow connections, by their id: `connect(id, conn_type=..., ...)`."""

    def make(name: str, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))

    return make


@pytest.fixture
def mails() -> Iterator[tuple[int, list[Any]]]:
    """Run a mail server; gives its port and what came."""
    received: list[Any] = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
            received.append(envelope)
            return "250 OK"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    yield port, received
    controller.stop()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with webhook() as running:
        yield running


def test_without_a_connection_there_is_no_channel():
    assert channels() == {}


def test_a_mail_has_the_words_and_escapes_them(connect, mails):
    port, received = mails
    extra = {"from_email": "flywheel@example.com", "disable_ssl": True, "disable_tls": True}
    connect(SMTP, conn_type="smtp", host="127.0.0.1", port=port, extra=json.dumps(extra))
    assert list(channels()) == [SMTP]
    channels()[SMTP](MESSAGE, OWNER)
    (envelope,) = received
    assert (envelope.mail_from, envelope.rcpt_tos) == ("flywheel@example.com", [OWNER])
    mail = email.message_from_bytes(envelope.content)
    assert mail["Subject"] == MESSAGE.subject
    (body,) = [one for one in mail.walk() if one.get_content_type() == "text/html"]
    assert "No rows &lt;b&gt;have&lt;/b&gt; come." in body.get_payload(decode=True).decode()


def test_a_mail_server_that_says_nothing_is_left_soon(connect, monkeypatch):
    monkeypatch.setattr(alerts, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        extra = {"from_email": "f@example.com", "disable_ssl": True, "disable_tls": True}
        port = silent.getsockname()[1]
        connect(SMTP, conn_type="smtp", host="127.0.0.1", port=port, extra=json.dumps(extra))
        started = time.monotonic()
        with pytest.raises(Exception, match="Unable to connect"):
            channels()[SMTP](MESSAGE, OWNER)
    assert time.monotonic() - started < 5


def test_a_mail_goes_to_whom_the_connection_names(connect, mails):
    port, received = mails
    extra = {"from_email": "f@example.com", "to": "ops@example.com", "disable_ssl": True,
             "disable_tls": True}  # fmt: skip
    connect(SMTP, conn_type="smtp", host="127.0.0.1", port=port, extra=json.dumps(extra))
    channels()[SMTP](MESSAGE, "the data team")
    assert received[0].rcpt_tos == ["ops@example.com"]


@pytest.mark.parametrize(
    ("name", "extra", "owner", "words"),
    [
        (SMTP, {}, OWNER, "its extra must have `from_email`"),
        (SMTP, {"from_email": "f@example.com"}, "the data team", "is no address"),
        (SNS, {}, OWNER, "its extra must have `target_arn`"),
    ],
)
def test_what_a_connection_lacks_is_named(connect, name, extra, owner, words):
    connect(name, conn_type="generic", extra=json.dumps(extra))
    with pytest.raises(ConfigError, match=words):
        channels()[name](MESSAGE, owner)


def by_webhook(connect, sink: Sink) -> None:
    host = f"http://127.0.0.1:{sink.server_port}"
    connect(WEBHOOK, conn_type="http", host=host, password="services/T0/S3cret")
    channels()[WEBHOOK](MESSAGE, OWNER)


def test_a_webhook_gets_slack_s_shape_at_its_secret_path(connect, sink):
    by_webhook(connect, sink)
    assert sink.came == [
        ("/services/T0/S3cret", {"text": f"*{MESSAGE.subject}*\n{SHOWN}"}),
    ]


def test_a_webhook_that_refuses_or_hangs_is_an_error_soon(connect, sink, monkeypatch):
    monkeypatch.setattr(alerts, "TIMEOUT_S", 0.3)
    sink.status = 500
    with pytest.raises(Exception, match="500"):
        by_webhook(connect, sink)
    sink.go.clear()
    with pytest.raises(Exception, match="timed out"):
        by_webhook(connect, sink)
    assert len(sink.came) == 2


def test_sns_gets_the_text_under_the_subject(connect, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
        queue = boto3.client("sqs").create_queue(QueueName="seen")["QueueUrl"]
        arn = "arn:aws:sqs:eu-central-1:123456789012:seen"
        boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        connect(
            SNS, conn_type="aws", login="testing", password="testing",
            extra=json.dumps({"target_arn": topic, "region_name": "eu-central-1"}),
        )  # fmt: skip
        channels()[SNS](MESSAGE, OWNER)
        (came,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(came["Body"])
    assert (told["Subject"], told["Message"]) == (MESSAGE.subject, MESSAGE.text)
