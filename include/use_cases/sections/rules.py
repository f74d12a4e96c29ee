"""The section `labels.rules`: labelling functions, and how their votes become one label."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.strict import Strict
from include.use_cases.predicates import parse

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class LabellingFunction(Strict):
    """One rule: it votes for a label where it applies, and abstains elsewhere."""

    when: str | None = Field(
        default=None,
        description='A condition on the columns of ingest.columns, like "distance > 2000 and '
        "carrier == 'HA'\". Where it holds, the rule votes for 'label'; elsewhere, and where a "
        "value is missing, it abstains.",
    )
    label: Annotated[int, Field(ge=0)] | str | None = Field(
        default=None,
        description="The class it votes for: a name of labels.classes, or its number. Prefer the "
        "name: the numbers of a list change with its order.",
    )
    python: Name | None = Field(
        default=None,
        description="Or a function of the use case's labels.py: it takes a row as a dict, and "
        "returns a class, by its name or number, or None to abstain.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> LabellingFunction:
        if (self.when is None) == (self.python is None):
            raise ValueError("needs one of 'when' and 'python'")
        if (self.when is None) != (self.label is None):
            raise ValueError("'when' needs 'label', and 'python' returns its own")
        if self.when is not None:
            parse(self.when)
        return self


class Rules(Strict):
    """Weak supervision: rules that each label some rows, and contradict each other."""

    functions: dict[Name, LabellingFunction] = Field(min_length=1, description="By name.")
    model: Literal["dawid_skene", "majority"] = Field(
        default="dawid_skene",
        description="'dawid_skene' weighs each rule by how accurate it seems to be, from where "
        "rules agree. It takes over from 1,000 rows with a vote and three rules; below, and with "
        "'majority', each rule counts alike.",
    )
    min_confidence: float = Field(
        default=0.5,
        ge=0.5,
        lt=1,
        description="A row whose most likely class is not more likely than this has no label.",
    )
