"""A small grammar of conditions on columns: `distance > 2000 and carrier == 'HA'`.

It is written as Python, and only parsed: nothing of it is ever run. Comparisons of a column with
literals, `in` a list of literals, `is None` and `is not None`, joined by `and`, `or`, `not` and
brackets. Used while Dag files are parsed, so nothing heavy is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Sign = Literal["<", "<=", ">", ">=", "==", "!=", "in", "not in", "is", "is not"]
_SIGNS: dict[type[ast.cmpop], Sign] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip
_MOST = 2_000
_DEPTH = 50
_WRITE = "Write it like \"distance > 2000 and carrier in ['HA', 'AS']\"."


@dataclass(frozen=True)
class Compared:
    """A column compared with a literal, a list of literals, or None."""

    column: str
    sign: Sign
    value: Any


@dataclass(frozen=True)
class Joined:
    """Conditions joined by `and` or `or`; or one that is negated."""

    how: Literal["and", "or", "not"]
    parts: tuple[Condition, ...]


Condition = Compared | Joined


def parse(text: str) -> Condition:
    """Parse a condition.

    Raises
    ------
    ValueError
        What of it is not in the grammar, and how to write it.

    Examples
    --------
    >>> parse("calls > 3 and plan is not None").how
    'and'
    """
    if len(text) > _MOST:
        raise ValueError(f"must have at most {_MOST} characters, got {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _condition(tree, 0)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot be read, got {text!r}. {_WRITE}") from error


def columns_of(condition: Condition) -> Iterator[Compared]:
    """Give each comparison of a condition."""
    if isinstance(condition, Compared):
        yield condition
    else:
        for part in condition.parts:
            yield from columns_of(part)


def problem_of(compared: Compared, kind: str) -> str | None:
    """Say why a column of a type cannot be compared so; None where it can."""
    if compared.sign in ("is", "is not"):
        return None
    values = compared.value if isinstance(compared.value, tuple) else (compared.value,)
    for value in values:
        if not _fits(value, kind):
            return (
                f"compares {compared.column!r}, which is of type {kind}, with {value!r}. Compare "
                f"it with {_LIKE[kind]}"
            )
    if kind in ("string", "bool") and compared.sign in ("<", "<=", ">", ">="):
        return f"orders {compared.column!r}, which is of type {kind}. Use == or 'in'"
    return None


_LIKE = {
    "int64": "a number", "float64": "a number", "string": "a text in quotes", "bool": "True",
    "timestamp": "a time in quotes, like '2013-01-31T12:00Z'", "date": "a day, like '2013-01-31'",
}  # fmt: skip


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, int | float):
        return kind in ("int64", "float64")
    if kind in ("timestamp", "date"):
        return _is_time(value)
    return kind == "string"


def _is_time(text: str) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None or len(text) == len("2013-01-31")


def _condition(node: ast.expr, depth: int) -> Condition:
    if depth > _DEPTH:
        raise ValueError(f"must be nested at most {_DEPTH} deep")
    if isinstance(node, ast.BoolOp):
        how: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
        return Joined(how, tuple(_condition(part, depth + 1) for part in node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Joined("not", (_condition(node.operand, depth + 1),))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.left, ast.Name):
        return _compared(node.left.id, node.ops[0], node.comparators[0])
    raise ValueError(f"has {ast.unparse(node)!r}, which is no comparison of a column. {_WRITE}")


def _compared(column: str, operator: ast.cmpop, right: ast.expr) -> Compared:
    sign = _SIGNS[type(operator)]
    value = _literal(right)
    listed, missing = isinstance(value, tuple), value is None
    if listed != (sign in ("in", "not in")) or missing != (sign in ("is", "is not")):
        raise ValueError(
            f"has {column} {sign} {ast.unparse(right)}: 'in' takes a list, 'is' takes None, and "
            f"other comparisons take one value. {_WRITE}"
        )
    return Compared(column, sign, value)


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.List | ast.Tuple) and node.elts:
        return tuple(_scalar(each) for each in node.elts)
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    return _scalar(node)


def _scalar(node: ast.expr) -> Any:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
        if sign == 1:
            return node.value
        if not isinstance(node.value, str | bool):
            return -node.value
    raise ValueError(
        f"has {ast.unparse(node)!r}, which is no number, text, True or False. {_WRITE}"
    )
