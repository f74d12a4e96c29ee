"""Check the syntax and the imports of a use case's Python without running it.

Dag files load use cases each time Airflow parses them, so nothing is imported here: the source is
compiled, and each imported package is looked for on the path.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


def problems_of_python(path: Path) -> Iterator[str]:
    """Tell what keeps a file from being imported: its syntax, or a package that is not installed.

    Only the first part of a dotted name is looked for: a submodule could not be found without
    importing its package. An import inside `try` may fail, and one inside `if TYPE_CHECKING` never
    runs: both are left out.

    Parameters
    ----------
    path : Path
        A Python file.

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
        for node in _imports(tree):
            yield from _problems_of_import(node)


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.Try | ast.TryStar) and not _for_types_only(node):
            yield from _imports(node)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _problems_of_import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        if node.level:
            yield (
                f"line {node.lineno}: relative imports do not work, because the file is no part of "
                "a package. Put what it needs into the file itself."
            )
            return
        names = [node.module or ""]
    else:
        names = [alias.name for alias in node.names]
    for name in dict.fromkeys(name.partition(".")[0] for name in names):
        if not _can_be_found(name):
            yield (
                f"line {node.lineno}: imports {name!r}, which is not installed. Correct the name, "
                "or add the package to requirements.in and run `make lock`."
            )


def _can_be_found(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
