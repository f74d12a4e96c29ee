"""The page of the report on labels: who may read it, and that nothing in it acts on the page."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from airflow.api_fastapi.core_api import security
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jwt import InvalidTokenError
from lxml import html

from include.labelling.annotators import Finding
from include.lake.table import Lake, Writer
from plugins.hooks.lake import LakeHook
from plugins.pages import labels, overview

DAY = "2024-05-01"
MAY_READ = {"ann": {"scans__label"}, "labeller": {"scans__annotate"}}
EVIL = "</td><script>alert(1)</script>"


class AuthManager:
    """Lets `ann` read the Dag that makes the report, and `labeller` the one that asks alone."""

    async def get_user_from_token(self, token: str) -> str:
        if token not in MAY_READ:
            raise InvalidTokenError
        return token

    def get_authorized_dag_ids(self, *, user: str, method: str) -> set[str]:
        assert method == "GET"
        return MAY_READ[user]


@pytest.fixture
def lake(tmp_path):
    """Make a lake with a report whose rows and annotators have names that attack a page."""
    made = Lake(str(tmp_path / "lake"))
    errors = [
        Finding("label error", json.dumps({"scan": EVIL if number == 7 else number}), number / 300,
                json.dumps({"given": 1, "suggested": 2, "probability": number / 300}))
        for number in reversed(range(205))
    ]  # fmt: skip
    rows = [
        *errors,
        Finding("strategy", "people", 1_234.0, "{}"),
        Finding("annotator", EVIL, None, json.dumps({"answers": {"counts": 3}, "below": True})),
        Finding("agreement", "Cohen's kappa", 2 / 3, json.dumps({"annotators": ["ann", "bob"]})),
    ]
    data = pa.Table.from_pylist([one._asdict() for one in rows], schema=pa.schema([
        ("topic", pa.string()), ("subject", pa.string()), ("value", pa.float64()),
        ("details", pa.string()),
    ]))  # fmt: skip
    made.table("scans", "label_quality").publish(
        data, partition=DAY, schema=data.schema, writer=Writer("run", 1, 1, "test")
    )
    return made


@pytest.fixture
def ask(lake, monkeypatch):
    double = AuthManager()
    monkeypatch.setattr(security, "get_auth_manager", lambda: double)
    monkeypatch.setattr(overview, "get_auth_manager", lambda: double)
    monkeypatch.setattr(LakeHook, "lake", lake)
    app = FastAPI()
    app.include_router(labels.router)
    client = TestClient(app)

    def get(path=f"/scans/labels/{DAY}", who="ann"):
        return client.get(path, headers={"Authorization": f"Bearer {who}"} if who else {})

    return get


def test_each_topic_is_a_table_and_the_least_likely_labels_come_first(ask):
    page = html.fromstring(ask().text)
    titles = [one.text_content() for one in page.findall(".//h2")]
    assert titles == ["Who gave the labels", "Labels that may be wrong", "Annotators", "Agreement"]
    tables = [
        [[cell.text_content() for cell in row] for row in table.findall(".//tbody/tr")]
        for table in page.findall(".//table")
    ]
    assert tables[0] == [["people", "1,234", ""]]
    assert len(tables[1]) == 200
    assert tables[1][0] == ["scan: 0", "0", "given: 1, suggested: 2, probability: 0"]
    assert tables[1][30][:2] == ["scan: 30", "0.1"]
    assert "and 5 more in the table" in page.text_content()
    assert tables[2] == [[EVIL, "", "answers: counts: 3, below: yes"]]
    assert tables[3] == [["Cohen's kappa", "0.667", "annotators: ann and bob"]]


def test_what_people_wrote_runs_nothing(ask):
    answer = ask()
    assert not html.fromstring(answer.text).findall(".//script")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy.split("; ")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        (f"/scans/labels/{DAY}", None, 401),
        (f"/scans/labels/{DAY}", "stranger", 403),
        (f"/scans/labels/{DAY}", "labeller", 404),
        ("/scans/labels/2024-05-02", "ann", 404),
        (f"/digits/labels/{DAY}", "ann", 404),
        ("/scans/labels/..", "ann", 404),
    ],
)
def test_others_and_other_partitions_get_nothing(ask, path, who, status):
    answer = ask(path, who)
    assert answer.status_code == status
    assert "Annotators" not in answer.text
