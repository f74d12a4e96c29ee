"""Names of a use case's own estimators and metric: ``own:<module>.<name>`` in its YAML.

Here the names are only looked up in the source, without running it, because Airflow loads use cases
whenever it parses Dag files. `include.registry.own_code` runs the code on a sample.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.algorithms import Algorithm, Preparation, Span, Task, WholeSpan
from include.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.use_cases.python_package import OwnPython
    from include.use_cases.schema import UseCase

OWN = "own"
OWN_NAME = re.compile(r"own:[a-z_][a-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")


class OwnWholeSpan(WholeSpan):
    """A range of whole numbers, as the parameters of an own estimator say it."""

    whole: Literal[True]


class OwnEstimator(Algorithm):
    """Estimator of the use case's own package."""

    estimator: Annotated[str, Field(pattern=f"^{OWN_NAME.pattern}$")] = Field(
        description="Write own:<module>.<Class>, such as own:models.Median for the class Median "
        "of models.py in the use case's folder."
    )
    prepare: Preparation = Field(  # type: ignore[misc]
        default="scaled",
        description="The preprocessing before it. 'scaled': numbers imputed and standardized, "
        "categories one-hot encoded. 'target_encoded': numbers as they are, a category as its mean "
        "label. 'passthrough': none, it gets the features as a DataFrame.",
    )
    takes_weights: bool = Field(  # type: ignore[misc]
        default=False, description="Whether its fit takes `sample_weight`."
    )
    params: dict[str, OwnWholeSpan | Span | int | float] = Field(
        default_factory=dict,
        description="Arguments of its __init__: a number, a range {low, high} (with log: true "
        "where it is logarithmic, with whole: true where it is of whole numbers).",
    )

    tasks: ClassVar[tuple[Task, ...]] = ("classification", "regression", "clustering")
    simplicity: ClassVar[int] = 100

    @property
    def space(self) -> Mapping[str, Span | float | int]:
        """What ``params`` says."""
        return self.params


def is_own(name: str) -> bool:
    """Whether a name in the YAML is one of the use case's own package."""
    return name.startswith(f"{OWN}:")


def split(name: str) -> tuple[str, str]:
    """Return module and object of a name.

    Examples
    --------
    >>> split("own:models.Median")
    ('models', 'Median')
    """
    module, _, found = name.removeprefix(f"{OWN}:").partition(".")
    return module, found


def named_in(use_case: UseCase) -> dict[str, str]:
    """Return the own names of a use case, each with its key in the YAML."""
    named = {
        f"train.candidates.{number}.estimator": space.estimator
        for number, space in enumerate(use_case.train.candidates)
    }
    named["train.metric"] = use_case.train.metric
    return {key: name for key, name in named.items() if is_own(name)}


def modules_of(use_case: UseCase) -> list[str]:
    """Return the modules that own estimators and an own metric are in."""
    return sorted({split(name)[0] for name in named_in(use_case).values()})


def problems_of_names(use_case: UseCase, folder: Path) -> Iterator[tuple[str, str]]:
    """Look the names up in the source, without running it.

    Yields
    ------
    key, problem : str
        The key in the YAML, and a sentence.
    """
    for key, name in named_in(use_case).items():
        module, wanted = split(name)
        path = folder / f"{module}.py"
        kind = ast.FunctionDef if key == "train.metric" else ast.ClassDef
        word = "function" if key == "train.metric" else "class"
        try:
            with warnings.catch_warnings(action="ignore"):  # of its escape sequences
                tree = ast.parse(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            there = sorted(file.name for file in folder.glob("*.py") if file.stem != "__init__")
            yield key, f"names {name!r}, but there is no {path.name}; there are {there}."
            continue
        except (OSError, ValueError, SyntaxError):
            continue  # the check of the source says so, with its line
        defined = [node.name for node in tree.body if isinstance(node, kind)]
        if wanted not in defined:
            yield (
                key,
                f"names {name!r}, but {path.name} defines no {word} {wanted!r} at its top level; "
                f"it defines {defined}. Correct the name, or define it there.",
            )


def problems_of_label_functions(use_case: UseCase, folder: Path) -> Iterator[tuple[str, str]]:
    """Look up the functions of `labels.py` that the section `labels` names, without running it.

    Yields
    ------
    key, problem : str
        The key in the YAML, and a sentence.
    """
    labels, wanted = use_case.labels, {}
    if labels is not None and labels.rules is not None:
        for name, function in labels.rules.functions.items():
            wanted[f"labels.rules.functions.{name}.python"] = function.python
    if labels is not None and labels.people is not None and labels.people.picture is not None:
        wanted["labels.people.picture.python"] = labels.people.picture.python
    for key, function_name in wanted.items():
        if function_name is None:
            continue
        try:
            with warnings.catch_warnings(action="ignore"):  # of its escape sequences
                tree = ast.parse((folder / "labels.py").read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            yield key, f"names {function_name!r}, but there is no labels.py. Write it."
            continue
        except (OSError, ValueError, SyntaxError):
            continue  # the check of the source says so, with its line
        if function_name not in (names := sorted(_bound(tree))):
            yield (
                key,
                f"names {function_name!r}, which labels.py does not define at its top level; it "
                f"defines {names}. Correct the name, or define it there.",
            )


def _bound(tree: ast.Module) -> Iterator[str]:
    """Name the functions that a module defines, imports or assigns at its top level."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (each.asname or each.name for each in node.names)
        elif isinstance(node, ast.Assign):
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))


def load_own(python: OwnPython | None, name: str) -> Any:
    """Import the class or function of a name.

    Raises
    ------
    ConfigError
        There is no such object, or its module cannot be imported.
    """
    module, wanted = split(name)
    loaded = None if python is None else python.module(module)
    found = getattr(loaded, wanted, None)
    if found is None or getattr(found, "__module__", None) != getattr(loaded, "__name__", ""):
        there = sorted(file for file, _ in python.files) if python else []
        raise ConfigError(
            f"{name}: must be defined in {module}.py of the use case, of which there are {there}. "
            "Define it there, or correct the name in the YAML."
        )
    return found
