"""Each thing that is wrong is found, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.alerting.conditions import Condition, Facts, conditions
from include.alerting.messages import HEADLINES, NEWS
from include.overview.card import Card
from include.overview.partitions import PartitionOverview
from include.registry.ledger import Promotion
from include.settings import REPO
from include.use_cases.sections.operation import Expect

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
DECLARED = Expect.model_validate({"rows": "35d", "labels": "65d", "champion": "180d"})


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def promotion(number: int = 1, days: float = 20.0) -> Promotion:
    return Promotion(
        number=number, version=str(number), evaluated_version=str(number), previous=None,
        as_of="2026-10", known_up_to="2026-10", package_sha256="f" * 64, who="the gate",
        why="surely better than the dummy", evidence="{}", run_id="run", promoted_at=ago(days),
    )  # fmt: skip


def partition(verdict: str | None = "stable", **more: Any) -> PartitionOverview:
    said: dict[str, Any] = {
        "partition": "2026-11", "landed": 10, "quarantined": 0, "clean": 10, "labelled": 10,
        "features": 10, "predicted": 10, "verdict": verdict, "model_version": "1", "drifted": [],
        "performance": None, "worst_allowed": None, "outcomes": None, "decision": None,
        "reasons": "",
    }  # fmt: skip
    return PartitionOverview(**said | more)


def facts(**more: Any) -> Facts:
    card = Card(
        use_case="flights", task="classification", description="", owner="ann@example.com",
        metric="roc_auc", champion=promotion(), promotions=[promotion()],
        partitions=[partition()], landed_at=ago(1), labels_at=ago(2),
    )  # fmt: skip
    known = {name: more.pop(name) for name in list(more) if name in Card.__dataclass_fields__}
    return replace(Facts(NOW, replace(card, **known), {}, served="1"), **more)


def found(seen: Facts, expect: Expect = DECLARED) -> list[Condition]:
    return conditions(seen, expect)


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    assert found(facts()) == []
    new = facts(champion=None, promotions=[], partitions=[], landed_at=None, labels_at=None)
    assert found(replace(new, served=None)) == [], "a use case that has not begun is not late"


@pytest.mark.parametrize(
    ("seen", "kind", "subject", "words"),
    [
        (
            facts(landed_at=ago(35.5)), "rows_late", "",
            "No rows have come since 2026-10-27 00:00 UTC; they are expected at least every 35",
        ),
        (facts(labels_at=ago(66)), "labels_late", "", "No labels have come since 2026-09-26"),
        (
            facts(failing={"validate_clean": ["a", "b", "c", "d", ""]}), "phase_failed",
            "validate_clean", "validate_clean has failed for d, c, b and 2 more.",
        ),
        (
            facts(failing={"ingest_label": [""]}), "phase_failed", "ingest_label",
            "ingest_label has failed for a run without a key.",
        ),
        (
            facts(partitions=[partition("drift", drifted=["temp", "wind"])]), "drift", "",
            "The data of 2026-11 differ from those of training: temp, wind.",
        ),
        (
            facts(partitions=[partition("drift")]), "drift", "",
            "The data of 2026-11 differ from those of training: the predictions.",
        ),
        (
            facts(partitions=[partition("decay", performance=0.61234, worst_allowed=0.65)]),
            "decay", "",
            "On the outcomes of 2026-11 version 1 has roc_auc 0.6123; 0.65 is the limit.",
        ),
        (
            facts(champion=promotion(days=181)), "champion_old", "",
            "Version 1 serves since 2026-06-03; a new champion is expected at least every 180 days",
        ),
        (
            facts(unreachable="The scoring server does not answer."), "serving_away", "",
            "The scoring server does not answer.",
        ),
        (
            facts(served=None), "serving_behind", "",
            "Serving answers with no model; version 1 is champion since 2026-11-11 12:00 UTC.",
        ),
        (facts(served="0"), "serving_behind", "", "Serving answers with version 0; version 1"),
        (
            facts(promotions=[promotion(1), promotion(2, days=0.5)]), "promoted", "2",
            "Version 2 serves: surely better than the dummy.",
        ),
    ],
)  # fmt: skip
def test_each_is_found_alone(seen: Facts, kind: str, subject: str, words: str) -> None:
    (one,) = found(seen)
    assert (one.kind, one.subject) == (kind, subject)
    assert one.words.startswith(words)
    assert one.lasts is (kind != "promoted")


def test_what_is_not_declared_is_not_late() -> None:
    seen = facts(landed_at=ago(1000), labels_at=ago(1000), champion=promotion(days=1000))
    assert found(seen, Expect()) == []


def test_a_new_champion_has_time_to_be_loaded() -> None:
    new = promotion(2, days=5 / 1440)
    assert found(facts(champion=new, promotions=[], served="1")) == []


def test_each_kind_has_its_headline_and_its_runbook() -> None:
    pages = {page.stem for page in (REPO / "docs" / "runbooks").glob("*.md")}
    assert pages == HEADLINES.keys() - NEWS
