"""The section `labels`: where they are from, and when they are final."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from include.use_cases.base import Strict
from include.use_cases.sections.format import Format
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


def _texts(classes: object) -> object:
    """Write the values that YAML reads as numbers or bools as they stand in a file."""
    if not isinstance(classes, dict):
        return classes
    return {
        str(key).lower() if isinstance(key, bool) else str(key): value
        for key, value in classes.items()
    }


Rule = Annotated[str, AfterValidator(_rule)]
Classes = Annotated[dict[str, Literal[0, 1]], BeforeValidator(_texts), Field(min_length=2)]


class Labels(Strict):
    """Labels read off a column: of files of their own, or of the files of the rows."""

    strategy: Literal["outcome", "column"] = Field(
        default="outcome",
        description="'outcome': files of their own, which land when the outcomes are known. "
        "'column': a column of the files of ingest.landing, which the model never sees.",
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
        description="Or the class of each value, like {Yes: 1, No: 0}; another value is refused. "
        "A bool outcome needs neither, nor does a regression.",
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


def completed(labels: dict[str, Any], ingest: dict[str, Any]) -> dict[str, Any]:
    """Take what the section does not say from `ingest`; both as the YAML gives them.

    Key columns have the types that they have among the rows. With strategy `column` the files are
    those of the rows: where they land, how they are written, and the columns that order them.
    """
    there, given = ingest.get("columns"), labels.get("columns")
    if not (isinstance(there, dict) and isinstance(given, dict)):
        return labels
    shared = list(ingest.get("key") or ())
    found = dict(labels)
    if labels.get("strategy") == "column":
        for name in ("landing", "format"):
            if name in ingest:
                found.setdefault(name, ingest[name])
        partition, corrections = (ingest.get(name) or {} for name in ("partition", "corrections"))
        shared += [partition.get("column"), corrections.get("by")]
    found["columns"] = {**{name: there[name] for name in shared if name in there}, **given}
    return found
