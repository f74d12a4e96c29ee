"""The section `labels`: where they are from, and when they are final."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from include.strict import Strict
from include.use_cases.sections.format import Format
from include.use_cases.sections.people import People
from include.use_cases.sections.rules import Rules
from include.use_cases.sections.values import Columns, Duration, Pattern, Share

RULE = re.compile(
    r"""(>=|>|<=|<|==|!=) (?:(-?\d+(?:\.\d+)?)|"([^"]*)"|'([^']*)')""",
)
"""A comparison, and a number or a text in quotes."""


def _rule(text: str) -> str:
    found = RULE.fullmatch(text)
    if found is None or (found[2] is None and found[1] not in ("==", "!=")):
        raise ValueError(f"must look like '>= 15' or '== \"Yes\"', got {text!r}")
    return text


MAX_CLASSES = 100
"""Our choice: each class is a column of probabilities in the lake, and gradient boosting grows a
tree for each in each of its rounds, so that 100 of both are 10,000 trees."""


def _classes(given: object) -> object:
    """Check both forms, with values that YAML reads as numbers or bools written as in a file."""
    if isinstance(given, dict):
        return _checked_mapping(given)
    if isinstance(given, list):
        return _checked_list(given)
    raise ValueError(
        f"must be a mapping like {{Yes: 1, No: 0}}, or a list of names like [low, middle, high], "
        f"got {given!r}. Write it as one of them."
    )


def _checked_mapping(given: dict[object, object]) -> dict[str, object]:
    classes = {text_of(key): value for key, value in given.items()}
    for name, number in classes.items():
        if type(number) is not int or number not in (0, 1):
            raise ValueError(
                f"must map values to 1 or 0, got {name}: {number!r}. Correct it, or of several "
                "classes write their names as a list, like [low, middle, high]."
            )
    return classes


def _checked_list(given: list[object]) -> list[str]:
    if wrong := [name for name in given if isinstance(name, dict | list) or name in (None, "")]:
        raise ValueError(f"must be names of classes, got {wrong[0]!r} among them. Remove it.")
    names = [text_of(name) for name in given]
    if len(names) < 3:
        raise ValueError(
            f"as a list must name three classes or more, got {names}. Two are written as a "
            "mapping that says which of them is 1, like {Yes: 1, No: 0}."
        )
    if len(names) > MAX_CLASSES:
        raise ValueError(
            f"may name {MAX_CLASSES} classes at most, got {len(names)}. Put rare ones together "
            "before they land."
        )
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.casefold(), name)) == name and names.count(name) > 1:
            raise ValueError(f"must name each class once, got {name!r} twice. Remove one.")
        if other != name:
            raise ValueError(
                f"must differ in more than upper and lower case, got {other!r} and {name!r}: each "
                "names a column of the lake. Rename one where it is landed."
            )
    return names


def text_of(value: object) -> str:
    """Write a class that YAML reads as a number or bool as it stands in a file.

    Examples
    --------
    >>> text_of(True), text_of(3), text_of("Yes")
    ('true', '3', 'Yes')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


LANDED = ("outcome", "column")
"""Strategies that read labels off landed files."""
Strategy = Literal["people", "outcome", "column", "rules"]

Rule = Annotated[str, AfterValidator(_rule)]
Classes = Annotated[dict[str, Literal[0, 1]] | list[str], BeforeValidator(_classes)]


class Labels(Strict):
    """Labels read off a column of landed files, made by rules, or given by people; or several."""

    strategy: Strategy = Field(
        default="outcome",
        description="'outcome': files of their own, which land when the outcomes are known. "
        "'column': a column of the files of ingest.landing, which the model never sees. 'rules' "
        "and 'people': no files; labels.rules or labels.people alone. 'landing', 'columns' and "
        "'from' are not given then.",
    )
    rules: Rules | None = Field(
        default=None,
        description="Rules that label rows, with strategy 'rules', or beside another.",
    )
    people: People | None = Field(
        default=None,
        description="People who are asked, with strategy 'people', or beside another.",
    )
    precedence: list[Strategy] = Field(
        default=["people", "outcome", "column", "rules"],
        description="Where several strategies have a label for a row, the first of these counts.",
    )
    landing: Pattern = Field(
        description="Where outcomes land; with strategy 'column' it is ingest.landing, and not "
        "given."
    )
    columns: Columns = Field(
        description="Of those files: the outcome, and the key and time columns, which have the "
        "types of ingest.columns where they are not given."
    )
    format: Format = Format()
    from_: str = Field(alias="from", description="The outcome column it is read off.")
    rule: Rule | None = Field(
        default=None,
        description="Makes a class (1 or 0) of the outcome, like '>= 15' or '== \"Yes\"'.",
    )
    classes: Classes | None = Field(
        default=None,
        description="Or the class of each value, like {Yes: 1, No: 0}; or the names of three "
        "classes or more, like [low, middle, high], whose numbers are their places, from 0. "
        "Another value is refused. A bool outcome needs neither, nor does a regression. People "
        "answer with these names.",
    )
    mature_after: Duration = Field(
        default=timedelta(0),
        description="How long after the end of a partition its outcomes are final, in the time of "
        "partitions: so much must have landed after it.",
    )
    min_coverage: Share = Field(
        default=0.9,
        description="Share of a partition's rows that must have a label before it is learned from.",
    )

    @property
    def landed(self) -> bool:
        """Whether labels are read off landed files."""
        return self.strategy in LANDED

    @property
    def strategies(self) -> list[Strategy]:
        """Name the strategies that give labels."""
        landed: list[Strategy] = [self.strategy] if self.landed else []
        asked: dict[Strategy, object] = {"rules": self.rules, "people": self.people}
        return [*landed, *(name for name, section in asked.items() if section is not None)]

    @property
    def answers(self) -> dict[str, int]:
        """The answers that people choose from, each with its class: the first name that it has."""
        first: dict[int, str] = {}
        for name, number in (self.numbers or {"1": 1, "0": 0}).items():
            first.setdefault(number, name)
        return {name: number for number, name in first.items()}

    def class_of(self, told: int | str) -> int | None:
        """Return the class that a rule names, by a name of `classes` or by its number; or None."""
        if isinstance(told, str):
            return (self.numbers or {}).get(told)
        count = len(self.classes) if isinstance(self.classes, list) else 2
        return told if 0 <= told < count else None

    @property
    def numbers(self) -> dict[str, int] | None:
        """The number of the class of each value; None where a rule or a bool makes classes."""
        if isinstance(self.classes, list):
            return {name: number for number, name in enumerate(self.classes)}
        return None if self.classes is None else dict(self.classes)


def completed(labels: dict[str, Any], ingest: dict[str, Any]) -> dict[str, Any]:
    """Take what the section does not say from `ingest`; both as the YAML gives them.

    Key columns have the types that they have among the rows. With a strategy other than `outcome`
    the files are those of the rows: where they land, how they are written, and the columns that
    order them.
    """
    without_files = labels.get("strategy") in ("rules", "people")
    if without_files:  # of the rows' files nothing but what names and orders the rows
        labels = {"landing": ingest.get("landing"), "columns": {}, "from": "", **labels}
    there, given = ingest.get("columns"), labels.get("columns")
    if not (isinstance(there, dict) and isinstance(given, dict)):
        return labels
    shared = list(ingest.get("key") or ())
    found = dict(labels)
    if labels.get("strategy") == "column" or without_files:
        for name in ("landing", "format"):
            if name in ingest:
                found.setdefault(name, ingest[name])
        partition, corrections = (ingest.get(name) or {} for name in ("partition", "corrections"))
        shared += [partition.get("column"), corrections.get("by")]
    found["columns"] = {**{name: there[name] for name in shared if name in there}, **given}
    return found
