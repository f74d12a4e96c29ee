"""`use_case.yaml` and `columns.yaml`, with the reason of each decision as a comment."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from include.profiling.plan import Plan

MAX_LINES = 60
_WIDTH = 116
_NAMED = 60  # characters of the names of classes in a description
_PLAIN = re.compile(r"[^\W\d][\w.-]*( [\w.-]+)*")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")
_WORDS = {"true", "false", "null"}  # YAML does not read these as text
_CANDIDATES = {"classification": "logistic_regression", "regression": "ridge"}
_SIGNALS = {True: ["drift", "performance", "age"], False: ["drift", "new_rows"]}


def use_case_yaml(plan: Plan, *, schema: str | None) -> str:
    """Write the configuration; `schema` is the path of its JSON Schema, for editors."""
    lines = list(_lines(plan, schema, wrapped=True))
    if len(lines) > MAX_LINES:
        lines = list(_lines(plan, schema, wrapped=False))
    return "\n".join(lines) + "\n"


def columns_yaml(plan: Plan) -> str:
    """Write the types of the columns that are read, and why others are not."""
    reasons = {name: (role, why) for name, _, role, why in plan.decisions()}
    lines = ["# Columns that are read, with their types; then those that are left out, and why."]
    for name, kind in plan.columns.items():
        role, why = reasons[name]
        lines.append(f"{flow(name)}: {kind}  # {role}: {why}")
    for role_ in plan.roles:
        if role_.kind == "left out":
            lines.append(f"# {flow(role_.column)}: left out: {role_.why}")
    return "\n".join(one_line(line) for line in lines) + "\n"


def flow(value: Any) -> str:
    """Write a value in one line of YAML, safe also within `[]` and `{}`.

    Examples
    --------
    >>> flow({"Yes": 1, "a, b": [" ", "NA"]})
    '{Yes: 1, "a, b": [" ", NA]}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(each) for each in value) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Write a text in quotes, and what nobody could see, such as a no-break space, as an escape."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in written)


def one_line(text: str) -> str:
    """Keep a comment in its line, whatever the file's cells and names hold."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _lines(plan: Plan, schema: str | None, *, wrapped: bool) -> Iterator[str]:
    outcome, time, table = plan.outcome, plan.time, plan.table
    if schema is not None:
        yield f"# yaml-language-server: $schema={schema}"
    made = f"{table.rows:,} rows, {len(table.findings)} columns"
    files = table.path.name
    if plan.outcomes is not None:
        files += f" and {plan.outcomes.table.path.name}"
    yield one_line(f"# Made by `make new` from {files}: {made}. All keys: docs/use-case.md.")
    yield f"task: {outcome.task}"
    yield f"description: {_quoted(_question(plan))}  # rephrase it"
    yield "owner: you@example.com  # who to ask"
    yield ""
    yield "ingest:"
    yield f"  landing: {plan.landing}"
    partition = {"column": time.column} if time.column else {}
    yield _told(f"  partition: {flow({**partition, 'grain': time.grain})}", time.why)
    yield _told(f"  key: {flow(plan.key.columns)}", plan.key.why)
    yield "  columns: columns.yaml"
    yield from _format(plan.format, wrapped=wrapped)
    yield ""
    yield "labels:"
    if plan.outcomes is None:
        yield "  strategy: column  # read from the same files; the model never sees it"
    else:
        yield _told(f"  landing: {plan.label_landing}", "files of their own, once they are known")
    yield _told(f"  from: {flow(outcome.column)}", outcome.why)
    if isinstance(outcome.classes, list):
        yield from _items("classes", [_shown(name) for name in outcome.classes], wrapped=wrapped)
    elif outcome.classes:
        yield f"  classes: {_classes(outcome.classes)}"
    yield f"  columns: {flow(plan.label_columns)}"
    yield from _format(plan.label_format, wrapped=wrapped)
    if plan.mature_after_days:
        late = "outcomes are complete so long after a partition's end; the newest have none yet"
        yield _told(f"  mature_after: {plan.mature_after_days}d", late)
    if plan.coverage < 0.95:  # the default of 0.9 would refuse a partition with a few less
        least = max(0.01, round(0.8 * plan.coverage, 2))
        yield f"  min_coverage: {least}  # {plan.coverage:.0%} of the rows have a label"
    yield ""
    yield "features:  # columns.yaml says why other columns are left out"
    yield from _list("inputs", plan.numeric + plan.categorical, wrapped=wrapped)
    for kind, names in (("numeric", plan.numeric), ("categorical", plan.categorical)):
        if names:
            yield from _list(kind, names, wrapped=wrapped)
    yield ""
    yield "train:"
    yield f"  metric: {outcome.metric}"
    by, why = plan.split
    yield _told(f"  split: {{by: {flow(by)}}}", why)
    yield "  candidates:  # simplest first: among equally good ones it wins"
    yield f"    - estimator: {_CANDIDATES[outcome.task]}"
    yield "    - estimator: hist_gradient_boosting"
    yield ""
    yield "retrain:"
    yield f"  when: {flow(_SIGNALS[time.column is not None])}"


def _question(plan: Plan) -> str:
    outcome = plan.outcome
    if outcome.task == "regression":
        return f"Predicts {outcome.column}, a number."
    if isinstance(outcome.classes, list):
        named = f"{', '.join(outcome.classes[:-1])} or {outcome.classes[-1]}"
        few = len(named) <= _NAMED
        return f"Predicts {outcome.column}: {named if few else f'{len(outcome.classes)} classes'}."
    positive = [word for word, number in outcome.classes.items() if number == 1] or ["true"]
    return f"Predicts whether {outcome.column} is {' or '.join(positive)}."


def _classes(classes: dict[str, int]) -> str:
    """Write class 1 first, and values that are numbers without quotes."""
    ordered = sorted(classes.items(), key=lambda item: -item[1])
    return "{" + ", ".join(f"{_shown(value)}: {number}" for value, number in ordered) + "}"


def _shown(value: str) -> str:
    """Write a class; the configuration reads a number as the text that stands in the file."""
    return value if _NUMBER.fullmatch(value) else flow(value)


def _told(line: str, why: str) -> str:
    return one_line(f"{line}  # {why}")


def _format(rules: dict[str, Any], *, wrapped: bool) -> Iterator[str]:
    if not rules:
        return
    yield "  format:"
    for key, value in rules.items():
        if key == "columns" and wrapped:
            yield "    columns:"
            yield from (f"      {flow(name)}: {flow(own)}" for name, own in value.items())
        else:
            yield f"    {key}: {flow(value)}"


def _list(key: str, names: Sequence[str], *, wrapped: bool) -> Iterator[str]:
    yield from _items(key, [flow(name) for name in names], wrapped=wrapped)


def _items(key: str, names: Sequence[str], *, wrapped: bool) -> Iterator[str]:
    line = f"  {key}: [{', '.join(names)}]"
    if len(line) <= _WIDTH or not wrapped:
        yield line
        return
    yield f"  {key}:"
    # Do not break a quoted name at its blanks: NUL, which no name holds, stands for them meanwhile.
    items = ", ".join(name.replace(" ", "\0") for name in names)
    for part in textwrap.wrap(
        f"[{items}]", _WIDTH - 4, break_long_words=False, break_on_hyphens=False
    ):
        yield f"    {part.replace(chr(0), ' ')}"
