"""Kinds of values that several sections of a use case take."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer
from pydantic import Strict as Strictness

ColumnType = Literal["string", "int64", "float64", "bool", "timestamp"]
Columns = dict[str, ColumnType]
Grain = Literal["day", "month"]

_DURATION = re.compile(r"^(\d+)([dh])$")


def _duration(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.match(value)
        if match is None:
            raise ValueError(f"must look like '7d' or '12h', got {value!r}")
        number, unit = int(match[1]), match[2]
        return timedelta(days=number) if unit == "d" else timedelta(hours=number)
    return value


def _duration_text(value: timedelta) -> str:
    hours = int(value.total_seconds() // 3600)
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=str),
    PlainSerializer(_duration_text, return_type=str),
]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
# Under the landing root, so neither absolute nor with `..`: a use case reads only what landed.
_STEP = r"([\w*=-]|\{partition\})([\w*=.-]|\{partition\})*"
Pattern = Annotated[
    str,
    Field(
        pattern=rf"^{_STEP}(/{_STEP})+$",
        description="Files under the landing root; '{partition}' stands for the month or day, "
        "like 'flights/{partition}/*.csv'.",
    ),
]
Cron = Annotated[str, Field(pattern=r"^(\S+ ){4}\S+$")]
# YAML has lists only; the rest of a pair is checked as strictly as everything else.
Loose = Strictness(strict=False)
