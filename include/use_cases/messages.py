"""Pydantic's errors as sentences: which key, which rule, what was found, what to do."""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from include.use_cases.own_code import OWN

_NOT_A_NUMBER = "Write it without quotes"
_KINDS = {
    "int_type": ("a whole number", _NOT_A_NUMBER),
    "int_from_float": ("a whole number", ""),
    "float_type": ("a number", _NOT_A_NUMBER),
    "string_type": ("text", "Put it in quotes"),
    "bool_type": ("true or false", ""),
    "list_type": ("a list", "Write it as [a, b], or one item a line after '- '"),
    "tuple_type": ("a list", "Write it as [a, b]"),
    "dict_type": ("a mapping", "Write it as 'key: value' lines"),
    "model_type": ("a mapping", "Write it as 'key: value' lines"),
    "model_attributes_type": ("a mapping", "Write it as 'key: value' lines"),
}
_BOUNDS = {
    "greater_than_equal": (">=", "ge", "at least "),
    "greater_than": (">", "gt", "above "),
    "less_than_equal": ("<=", "le", "at most "),
    "less_than": ("<", "lt", "below "),
}


KeyPath = Sequence[int | str]
_LEADING_KEY = re.compile(r"[a-z_]+(\.[\w-]+)*")


def sentences(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[KeyPath, str]]:
    """Say what is wrong, and of which key.

    Parameters
    ----------
    error : ValidationError
        What pydantic raised.
    model : type
        The model that was being made, for field names, descriptions and defaults.

    Yields
    ------
    path : sequence of int or str
        The key, from the top.
    sentence : str
        Such as `train.tuning.trials must be >= 1, got 0. Set it to at least 1, or remove it
        (default 10).`
    """
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        if detail["type"] == "value_error":
            for problem in str(detail["ctx"]["error"]).splitlines():
                yield loc or leading_key(problem), f"{_dotted(loc)} {problem}".strip()
        else:
            yield loc, _sentence(detail, model)


def leading_key(problem: str) -> KeyPath:
    """Read the key that a problem between sections begins with.

    Examples
    --------
    >>> leading_key("ingest.key names 'custmer', which is not one of ['customer'].")
    ['ingest', 'key']
    """
    match = _LEADING_KEY.match(problem)
    return match[0].split(".") if match else []


def _dotted(loc: KeyPath) -> str:
    return ".".join(str(part) for part in loc)


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, name, context = detail["type"], _dotted(detail["loc"]), detail.get("ctx", {})
    owner, field = _walk(model, detail["loc"])
    got = detail["input"]
    if kind == "extra_forbidden":
        return f"{name} is not a known key. {_closest(str(detail['loc'][-1]), _keys(owner))}"
    if kind == "missing":
        return f"{name} is required and missing. {_described(field)}".strip()
    if kind in _BOUNDS:
        sign, key, words = _BOUNDS[kind]
        bound = f"{context[key]:g}"
        advice = f"Set it to {words}{bound}{_or_default(field)}."
        return f"{name} must be {sign} {bound}, got {got!r}. {advice}"
    if kind in _KINDS:
        wanted, advice = _KINDS[kind]
        return (
            f"{name} must be {wanted}, got {got!r}. {advice or 'Correct it'}{_or_default(field)}."
        )
    if kind in ("literal_error", "union_tag_invalid"):
        expected = context.get("expected") or context.get("expected_tags")
        shown = context.get("tag", got)
        known = [word.strip(" '\"") for word in str(expected).replace(" or ", ",").split(",")]
        return f"{name} must be one of {known}, got {shown!r}. {_closest(str(shown), known)}"
    if kind == "union_tag_not_found":
        return f"{name} needs 'estimator', got {got!r}. Write it as '- estimator: <name>'."
    if kind == "string_pattern_mismatch":
        return f"{name} must match {context['pattern']}, got {got!r}. {_described(field)}".strip()
    return f"{name}: {detail['msg']}, got {got!r}. {_described(field)}".strip()


def _walk(model: type[BaseModel], loc: KeyPath) -> tuple[type[BaseModel], FieldInfo | None]:
    """Find the model that owns the last part of `loc`, and the nearest field on the way."""
    owner, field = model, None
    choices = [model]
    for part in loc:
        named = [m for m in choices if part in _keys(m)]
        tagged = [m for m in choices if part in _tags(m)]
        if named:
            owner = named[0]
            field = next(f for n, f in owner.model_fields.items() if part in (n, f.alias))
            choices = list(_models(field.annotation))
        elif tagged:
            choices, owner = tagged, tagged[0]
        elif len(choices) == 1:
            owner = choices[0]
    return owner, field


def _keys(model: type[BaseModel]) -> list[str]:
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("estimator")
    return (typing.get_args(field.annotation) or (OWN,)) if field is not None else ()


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation
    else:
        for argument in typing.get_args(annotation):
            yield from _models(argument)


def _closest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {known}."


def _described(field: FieldInfo | None) -> str:
    return field.description or "" if field is not None else ""


def _or_default(field: FieldInfo | None) -> str:
    if field is None or field.default is PydanticUndefined or field.default is None:
        return ""
    return f", or remove it (default {field.default})"
