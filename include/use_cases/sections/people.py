"""The section `labels.people`: whom to ask, about which rows, and what counts as an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from include.strict import Strict
from include.use_cases.sections.rules import Name
from include.use_cases.sections.values import Duration, Share

Policy = Literal["uncertain", "disagreement", "random"]

MOST_IN_AIRFLOW = 50
"""Items of a round that Airflow asks about: each is a task of its own, and a list of more cannot be
looked through in "Required Actions". Our choice."""


def _shares(choose: dict[Policy, float]) -> dict[Policy, float]:
    if any(not 0 <= share <= 1 for share in choose.values()):
        raise ValueError(f"must be shares from 0 to 1, got {choose}")
    if abs(sum(choose.values()) - 1) > 1e-6:
        raise ValueError(f"must add up to 1, got {choose}, which is {sum(choose.values()):g}")
    return choose


class Picture(Strict):
    """The picture of a row: a file that landed, or made by the use case's own Python."""

    column: str | None = Field(
        default=None,
        description="A column of ingest.columns with the path of a PNG or JPEG file, below the "
        "landing.",
    )
    python: Name | None = Field(
        default=None,
        description="Or a function of the use case's labels.py: it takes a row as a dict, and "
        "returns the bytes of a PNG or JPEG file, or None where there is no picture.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Picture:
        if (self.column is None) == (self.python is None):
            raise ValueError("needs one of 'column' and 'python'")
        return self


class People(Strict):
    """Rounds of questions to people, about rows that a policy chooses."""

    ask: Literal["airflow", "label_studio"] = Field(
        default="airflow",
        description="Where people answer: in Airflow's list of required actions, or in Label "
        "Studio.",
    )
    connection: str | None = Field(
        default=None,
        min_length=1,
        description="The Airflow connection of Label Studio; with ask 'label_studio' only.",
    )
    items: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Rows of a round, gold items among them; at most 50 with ask 'airflow'.",
    )
    rounds: int = Field(
        default=10,
        ge=1,
        description="The most rounds of a partition; after them nobody is asked about it.",
    )
    choose: Annotated[dict[Policy, float], AfterValidator(_shares)] = Field(
        default={"uncertain": 0.8, "random": 0.2},
        description="Share of a round by policy. 'uncertain': where the champion's two likeliest "
        "classes are closest. 'disagreement': where rules contradict each other. 'random': by "
        "chance; only these rows enter a holdout. What a policy cannot choose, 'random' does.",
    )
    within: Duration = Field(default=timedelta(days=7), description="How long a round is open.")
    annotators: int = Field(
        default=1, ge=1, le=20, description="Answers that are wanted for each item."
    )
    trusted: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Annotators whose answers count, by their user name in Airflow or their email "
        "address in Label Studio. Answers of others are recorded only. By default all count.",
    )
    adjudicators: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Annotators who decide: where one of them has answered an item, that answer is "
        "its label, whatever others say. Named as in `trusted`, where they need not stand too.",
    )
    gold: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\.csv$",
        description="A CSV file beside use_case.yaml with the key columns and `label`: items whose "
        "answer is known. Mixed into rounds they measure annotators, and never become labels.",
    )
    gold_items: int = Field(default=2, ge=1, description="Gold items of each round.")
    min_accuracy: Share | None = Field(
        default=None,
        description="An annotator whose accuracy on gold items is surely lower (the upper bound of "
        "its 95 % interval) is reported. By default none is.",
    )
    below: Literal["report", "exclude"] = Field(
        default="report",
        description="What else becomes of such an annotator. 'exclude': the answers stay recorded "
        "and no longer count.",
    )
    ask_again: int = Field(
        default=2,
        ge=0,
        le=20,
        description="How many more rounds an item is in whose answers contradict each other, or "
        "are too few. After that it stays as it is: without a label where they contradict.",
    )
    aggregate: Literal["dawid_skene", "majority"] = Field(
        default="dawid_skene",
        description="How several answers become one label. 'dawid_skene' weighs annotators, from "
        "500 items with several answers and three annotators on; below, and with 'majority', "
        "each counts alike.",
    )
    show: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Columns of ingest.columns that people see; by default all.",
    )
    picture: Picture | None = Field(default=None, description="The picture that people see.")
    boxes: list[Name] | None = Field(
        default=None,
        min_length=1,
        description="Names of boxes that annotators also draw on the picture; with ask "
        "'label_studio' only.",
    )
