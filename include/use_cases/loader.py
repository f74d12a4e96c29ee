"""From folders to use cases: found, read, checked; one that is broken never hides the others."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from include.errors import ConfigError
from include.settings import Settings
from include.use_cases.expectations import Suite, problems_of_suite
from include.use_cases.gold import read_gold
from include.use_cases.messages import leading_key, sentences
from include.use_cases.own_code import (
    modules_of,
    problems_of_label_functions,
    problems_of_names,
)
from include.use_cases.python_package import FEATURES, LABELS, OwnPython, read_python
from include.use_cases.python_source import problems_of_python
from include.use_cases.schema import UseCase
from include.use_cases.yaml_text import Document, read, write

ROOT = Path(__file__).parent
YAML_NAME = "use_case.yaml"
_COLUMNS = ("ingest", "columns")
_FILE_BESIDE = re.compile(r"[a-z][a-z0-9_]*\.yaml")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    """All use cases of a root folder, and why the broken ones are not among them."""

    use_cases: dict[str, UseCase]
    broken: dict[str, ConfigError]


def root() -> Path:
    """Return the folder of use cases: `FLYWHEEL_USE_CASES`, by default this module's."""
    return Settings.from_env().use_cases


def load_text(
    text: str,
    name: str,
    origin: str,
    folder: Path | None = None,
    python: OwnPython | None = None,
) -> UseCase:
    """Make a use case of YAML text, such as the snapshot in a model package.

    Parameters
    ----------
    text : str
        The YAML, without the name.
    name : str
        The use case's name: lower-case letters, digits and `_`.
    origin : str
        Where the text is from, for messages.
    folder : Path, optional
        Where the file of `ingest.columns` is, if the text names one, and its own Python.
    python : OwnPython, optional
        Its own, where that is not in a folder: what own estimators and an own metric are of.

    Raises
    ------
    ConfigError
        One line for each thing that is wrong.
    """
    document = with_columns(read(text, origin), folder)
    content = document.content
    if not isinstance(content, dict):
        raise ConfigError(
            f"{origin}: must be a mapping of keys, got {type(content).__name__}. Write it as "
            "'key: value' lines."
        )
    if "name" in content:
        raise ConfigError(
            f"{document.place(['name'])}: name is given by the folder ({name!r}). Remove the key."
        )
    use_case = _validated(UseCase, {**content, "name": name}, document)
    if python is None and folder is not None:
        python = _python_in(folder, use_case)
    return use_case if python is None else use_case.with_python(python)


def with_columns(document: Document, folder: Path | None) -> Document:
    """Put the content of the file that `ingest.columns` names in its place, if it names one.

    Raises
    ------
    ConfigError
        There is no such file, or it is not YAML.
    """
    content = document.content
    ingest = content.get("ingest") if isinstance(content, dict) else None
    if not isinstance(ingest, dict) or not isinstance(named := ingest.get("columns"), str):
        return document
    if folder is None or not _FILE_BESIDE.fullmatch(named):
        raise ConfigError(
            f"{document.place(_COLUMNS)}: ingest.columns must be a mapping of columns to types, or "
            f"the name of a file beside it, like 'columns.yaml', got {named!r}. Correct it."
        )
    path = folder / named
    columns = read(_read(path), shown(path))
    if not isinstance(columns.content, dict):
        raise ConfigError(
            f"{columns.origin}: must be a mapping of columns to types, got "
            f"{type(columns.content).__name__}. Write it as 'column: type' lines."
        )
    whole = {**content, "ingest": {**ingest, "columns": columns.content}}
    return replace(document, content=whole, beside={_COLUMNS: columns})


def dump(use_case: UseCase) -> str:
    """Write the use case as YAML, defaults included; `load_text` reads it back."""
    content = use_case.model_dump(mode="json", by_alias=True, exclude={"name"}, exclude_none=True)
    return write(content)


def load(folder: Path) -> UseCase:
    """Read and check one use case: its YAML, its suite of expectations, gold items, and its Python.

    The Python is compiled and its imports are looked for; it is not run (see `python_source`).

    Raises
    ------
    ConfigError
        Something in the folder is missing or wrong: which file, which key, what to do.
    """
    path = folder / YAML_NAME
    use_case = load_text(_read(path), folder.name, shown(path), folder)
    load_suite(use_case, folder)
    problems = [
        f"{shown(path)}, {problem}"
        for path in sorted(folder.glob("*.py"))
        for problem in problems_of_python(path)
    ]
    problems += [
        f"{place_of_key(folder, key)}: {key} {problem}"
        for find in (problems_of_names, problems_of_label_functions)
        for key, problem in find(use_case, folder)
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    read_gold(use_case, folder)
    return use_case


def load_suite(use_case: UseCase, folder: Path | None = None) -> Suite:
    """Read and check a use case's expectations; `folder` is by default the one in `root()`."""
    path = (folder or root() / use_case.name) / use_case.validation.suite
    document = read(_read(path), shown(path))
    suite = _validated(Suite, {"expectations": document.content}, document)
    if problems := list(problems_of_suite(suite, use_case)):
        told = (f"{document.place(leading_key(problem))}: {problem}" for problem in problems)
        raise ConfigError("\n".join(told))
    return suite


def load_all(folder: Path | None = None, only: str | None = None) -> Loaded:
    """Read every use case under `folder` (by default `root()`), each on its own; or `only` one."""
    use_cases: dict[str, UseCase] = {}
    broken: dict[str, ConfigError] = {}
    folder = folder or root()
    for name in _names(folder):
        if only not in (None, name):
            continue
        try:
            use_cases[name] = load(folder / name)
        except ConfigError as error:
            broken[name] = error
    return Loaded(use_cases, broken)


def get(name: str) -> UseCase:
    """Find the use case of that name.

    Raises
    ------
    ConfigError
        There is none, or it is broken.
    """
    return load(folder_of(name))


def folder_of(name: str) -> Path:
    """Return the folder of the use case of that name.

    Raises
    ------
    ConfigError
        There is none.
    """
    folder = root()
    names = _names(folder)
    if name not in names:
        raise ConfigError(
            f"There is no use case {name!r} in {shown(folder)}; there are {names}. "
            f"Correct the name, or make {shown(folder / name / YAML_NAME)}."
        )
    return folder / name


def python_of(use_case: UseCase) -> OwnPython:
    """Read the use case's own Python as it is in the working tree now."""
    return _python_in(root() / use_case.name, use_case)


def labels_python_of(use_case: UseCase) -> OwnPython:
    """Read the use case's `labels.py`, and what it imports of the folder, as it is now."""
    return read_python(root() / use_case.name, LABELS)


def _python_in(folder: Path, use_case: UseCase) -> OwnPython:
    return read_python(folder, FEATURES, *modules_of(use_case))


def place_of_key(folder: Path, key: str) -> str:
    """Return file and line of a key in a use case's YAML, such as ``train.candidates.0``."""
    path = folder / YAML_NAME
    keys = [int(part) if part.isdigit() else part for part in key.split(".")]
    return read(_read(path), shown(path)).place(keys)


def shown(path: Path) -> str:
    """Write a path as messages show it: from the repository on where it is inside."""
    repository = ROOT.parents[1]
    return str(path.relative_to(repository) if path.is_relative_to(repository) else path)


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise ConfigError(
            f"{shown(folder)}: the folder of use cases does not exist. Make it, or correct "
            "FLYWHEEL_USE_CASES."
        )
    return sorted(path.parent.name for path in folder.glob(f"*/{YAML_NAME}"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{shown(path)}: cannot be read ({error}). Make it a UTF-8 file."
        ) from error


def _validated(model: type[Model], content: object, document: Document) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        told = (f"{document.place(path)}: {text}" for path, text in sentences(error, model))
        raise ConfigError("\n".join(told)) from error
