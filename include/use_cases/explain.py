"""The effective configuration, with the origin of each value; and a changed copy of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from include.errors import ConfigError
from include.use_cases.loader import (
    YAML_NAME,
    dump,
    folder_of,
    load_text,
    root,
    shown,
    with_columns,
)
from include.use_cases.schema import UseCase
from include.use_cases.yaml_text import Document, read, write


def document_of(name: str) -> Document:
    """Read a use case's YAML as it stands, with the columns of a file beside it.

    Raises
    ------
    ConfigError
        There is no such use case, or its file is not YAML.
    """
    path = folder_of(name) / YAML_NAME
    try:
        document = read(path.read_text(encoding="utf-8"), shown(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{shown(path)}: cannot be read ({error}). Make it a UTF-8 file."
        ) from error
    return with_columns(document, path.parent)


def explained(name: str) -> Iterator[str]:
    """Yield the effective configuration as YAML lines, with the origin of each value.

    A value is given in a line of the YAML, made from other keys, or a default.
    """
    document = document_of(name)
    use_case = load_text(document.text, name, document.origin, root() / name)
    effective = read(dump(use_case), "effective").content
    yield from _lines(effective, document.content, document, [], "")


def _lines(
    effective: Any, given: Any, document: Document, path: list[int | str], indent: str
) -> Iterator[str]:
    for key, value in effective.items():
        there = isinstance(given, dict) and key in given
        inner = given[key] if there else None
        where = [*path, key]
        if isinstance(value, list) and any(isinstance(each, dict) for each in value):
            yield f"{indent}{key}:"
            for number, each in enumerate(value):
                item = inner[number] if isinstance(inner, list) else None
                lines = list(_lines(each, item, document, [*where, number], f"{indent}  "))
                yield lines[0].replace(f"{indent}  ", f"{indent}- ", 1)
                yield from lines[1:]
            continue
        # What the YAML gives in full stands in one line.
        here = there and inner == value and _flat(value) and tuple(where) not in document.beside
        if isinstance(value, dict) and value and not here:
            yield f"{indent}{key}:"
            yield from _lines(value, inner, document, where, f"{indent}  ")
            continue
        text = write({key: value}).rstrip("\n") if not _flat(value) else f"{key}: {_flow(value)}"
        origin = document.place(where).removeprefix(f"{document.origin}, ") if there else "default"
        first, *more = text.split("\n")
        yield f"{indent}{first:<{max(0, 64 - len(indent))}}  # {origin}"
        yield from (f"{indent}{line}" for line in more)


def _flat(value: Any) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return not any(isinstance(each, dict | list) for each in inside)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    return write([value]).removeprefix("- ").strip()


def with_changes(name: str, changes: Mapping[str, str]) -> UseCase:
    """Return a use case with other values of some keys; its file stays as it is.

    Parameters
    ----------
    name : str
        Of the use case.
    changes : mapping of str to str
        By key, written with dots (`train.tuning.trials`; a number is a position in a list): the
        value, as YAML writes it.

    Raises
    ------
    ConfigError
        A key leads nowhere, or the changed configuration is not valid.
    """
    document = document_of(name)
    content = copy.deepcopy(document.content)
    for key, text in changes.items():
        _set(content, key, read(text, f"{key}={text}").content)
    if not changes:
        return load_text(document.text, name, document.origin, root() / name)
    origin = f"{document.origin} with {', '.join(f'{k}={v}' for k, v in changes.items())}"
    try:
        return load_text(write(content), name, origin, root() / name)
    except ConfigError as error:  # its lines are those of a text that nobody sees
        raise ConfigError(re.sub(r", line \d+:", ":", str(error))) from None


def _set(content: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    place = content
    for part in path:
        if isinstance(place, list) and part.isdigit() and int(part) < len(place):
            place = place[int(part)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
        else:
            raise ConfigError(f"{key}: there is nothing below {part!r}. Correct the key.")
    if isinstance(place, list) and last.isdigit() and int(last) < len(place):
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ConfigError(f"{key}: there is nothing that could be set. Correct the key.")
