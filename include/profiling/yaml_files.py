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
_PLAIN = re.compile(r"[^\W\d][\w.-]*( [\w.-]+)*")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")
_WORDS = {"true", "false", "null"}  # what YAML takes for something else than text
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
    lines = ["# Columns that are read, with their types; those of the file that are not, and why."]
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
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def one_line(text: str) -> str:
    """Keep a comment in its line, whatever the file's cells and names hold."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _lines(plan: Plan, schema: str | None, *, wrapped: bool) -> Iterator[str]:
    outcome, time, table = plan.outcome, plan.time, plan.table
    if schema is not None:
        yield f"# yaml-language-server: $schema={schema}"
    made = f"{table.rows:,} rows, {len(table.findings)} columns"
    yield one_line(f"# Made by `make new` from {table.path.name}: {made}. All keys: README.md.")
    yield f"task: {outcome.task}"
    yield f"description: {json.dumps(_question(plan), ensure_ascii=False)}  # put it in your words"
    yield "owner: you@example.com  # whom to ask"
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
    yield "  strategy: column  # read of the same files; the model never sees it"
    yield _told(f"  from: {flow(outcome.column)}", outcome.why)
    if outcome.classes:
        yield f"  classes: {_classes(outcome.classes)}"
    yield f"  columns: {flow({outcome.column: outcome.kind})}"
    if outcome.coverage < 0.95:  # the default of 0.9 would refuse a partition with a few less
        least = max(0.01, round(0.8 * outcome.coverage, 2))
        yield f"  min_coverage: {least}  # {outcome.coverage:.0%} of the rows have a label"
    yield ""
    yield "features:  # columns.yaml says why the others are left out"
    yield from _list("inputs", plan.numeric + plan.categorical, wrapped=wrapped)
    for kind, names in (("numeric", plan.numeric), ("categorical", plan.categorical)):
        if names:
            yield from _list(kind, names, wrapped=wrapped)
    yield ""
    yield "train:"
    yield f"  metric: {outcome.metric}"
    yield f"  split: {{by: {flow(time.column) if time.column else 'random'}}}"
    yield "  candidates:  # simplest first: of those that are as good, it is kept"
    yield f"    - estimator: {_CANDIDATES[outcome.task]}"
    yield "    - estimator: hist_gradient_boosting"
    yield ""
    yield "retrain:"
    yield f"  when: {flow(_SIGNALS[time.column is not None])}"


def _question(plan: Plan) -> str:
    outcome = plan.outcome
    if outcome.task == "regression":
        return f"Predicts {outcome.column}, a number."
    positive = [word for word, number in outcome.classes.items() if number == 1] or ["true"]
    return f"Predicts whether {outcome.column} is {' or '.join(positive)}."


def _classes(classes: dict[str, int]) -> str:
    """Write class 1 first, and values that are numbers without quotes."""
    ordered = sorted(classes.items(), key=lambda item: -item[1])
    shown = (
        f"{value if _NUMBER.fullmatch(value) else flow(value)}: {number}"
        for value, number in ordered
    )
    return "{" + ", ".join(shown) + "}"


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
    line = f"  {key}: {flow(list(names))}"
    if len(line) <= _WIDTH or not wrapped:
        yield line
        return
    yield f"  {key}:"
    # A quoted name with a blank must not be broken: items are joined by a mark that no name has.
    items = ", ".join(flow(name).replace(" ", "\0") for name in names)
    for part in textwrap.wrap(
        f"[{items}]", _WIDTH - 4, break_long_words=False, break_on_hyphens=False
    ):
        yield f"    {part.replace(chr(0), ' ')}"
