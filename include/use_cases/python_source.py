"""Check the syntax and the imports of a use case's Python without running it.

A model package carries this Python and must answer anywhere, so it may import only what the package
brings along: the standard library, modules of the same folder, and the `PACKAGES` that every model
package pins.

Dag files load use cases each time Airflow parses them, so nothing is imported here: the source is
compiled, and the names of its imports are looked at.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

PACKAGES = {"numpy": "numpy", "pandas": "pandas", "sklearn": "scikit-learn", "scipy": "scipy"}
"""Packages that a use case's Python may import: the import's name, and the distribution's."""

_ALLOWED = (
    f"the standard library, {', '.join(sorted(PACKAGES))}, and modules of its own folder "
    "(`from .helpers import scale`)"
)


def problems_of_python(path: Path) -> Iterator[str]:
    """Tell what keeps a file from being imported wherever its model answers.

    Only the first part of a dotted name is judged: a submodule could not be found without importing
    its package. An import inside `try` may fail, and one inside `if TYPE_CHECKING` never runs: both
    are left out.

    Parameters
    ----------
    path : Path
        A Python file of a use case's folder.

    Yields
    ------
    str
        ``line 3: ...``, what is wrong there and what to do.
    """
    try:
        source = path.read_bytes()
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source, str(path))
            compile(tree, str(path), "exec", dont_inherit=True)
    except OSError as error:
        yield f"line 1: cannot be read ({error}). Make it a readable file."
    except SyntaxError as error:
        yield f"line {error.lineno or 1}: {error.msg}. Correct the syntax."
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL byte, thousands of brackets
        yield f"line 1: cannot be compiled ({error}). Make it Python source text."
    else:
        siblings = {file.stem for file in path.parent.glob("*.py")} - {"__init__"}
        for node in _imports(tree):
            for problem in _problems_of_import(node, siblings):
                yield f"line {node.lineno}: {problem}"


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.Try | ast.TryStar) and not _for_types_only(node):
            yield from _imports(node)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _problems_of_import(node: ast.Import | ast.ImportFrom, siblings: set[str]) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.level:
        yield from _problems_of_relative(node, siblings)
        return
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else _names(node)
    for name in dict.fromkeys(name.partition(".")[0] for name in names):
        if name in sys.stdlib_module_names or name in PACKAGES:
            continue
        if name in siblings:
            yield (
                f"imports {name!r} as if it were installed, but it is a module of this folder. "
                f"Write `from . import {name}`."
            )
        else:
            yield (
                f"imports {name!r}; it may import {_ALLOWED}: a model package brings only these "
                "along. Remove the import, or put what it needs into this folder."
            )


def _problems_of_relative(node: ast.ImportFrom, siblings: set[str]) -> Iterator[str]:
    if node.level > 1:
        written = "." * node.level + (node.module or "")
        yield (
            f"imports from {written!r}, outside of the use case's folder; it may import "
            f"{_ALLOWED}. Copy what it needs into this folder."
        )
        return
    for name in [node.module] if node.module else _names(node):
        if name not in siblings:
            yield (
                f"imports '.{name}', but the modules of this folder are {sorted(siblings)}. "
                "Correct the name, or add the file to the folder."
            )


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names]
