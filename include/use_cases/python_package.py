"""The Python of a use case, carried as text and imported as a package of its own.

A result names the source text that made it, and a model package holds a copy of it. `read_python`
takes the text from a folder. `OwnPython.module` imports it under a name that holds the digest of
the text, so that two versions stand side by side in one process.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

from include.errors import ConfigError

FEATURES = "features"
"""The module whose `derive(frame)` adds columns; see `include.modelling.features`."""

_PREFIX = "use_case_"
_IMPORTING = threading.RLock()


@dataclass(frozen=True)
class OwnPython:
    """Source files of one use case: a module, and the sibling modules that it imports.

    Attributes
    ----------
    use_case : str
        Its name.
    files : tuple of (str, str)
        File name (`features.py`) and source text, sorted; empty when it has no Python.
    """

    use_case: str
    files: tuple[tuple[str, str], ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all names and texts, in hexadecimal; '' when there are none."""
        return hashlib.sha256(json.dumps(self.files).encode()).hexdigest() if self.files else ""

    @property
    def package(self) -> str:
        """Name under which it is imported."""
        return f"{_PREFIX}{self.use_case}_{self.digest[:16]}"

    def write(self, folder: Path) -> None:
        """Write the files into a folder, which is made; `python_in` reads them back."""
        folder.mkdir()
        for name, text in self.files:
            (folder / name).write_text(text, encoding="utf-8")

    def module(self, stem: str = FEATURES) -> ModuleType | None:
        """Import one of the files; None when it is not there. It is imported once a process.

        Raises
        ------
        ConfigError
            The file ends the process when it is imported.
        """
        if f"{stem}.py" not in dict(self.files):
            return None
        name = f"{self.package}.{stem}"
        with _IMPORTING:
            if name not in sys.modules:
                _FINDER.packages[self.package] = self
                try:
                    __import__(name)
                except SystemExit as error:  # it would end a thread of the server without a word
                    raise ConfigError(
                        f"{self.use_case}/{stem}.py: must define functions only, but ends the "
                        "process when it is imported. Remove sys.exit() from it."
                    ) from error
            return sys.modules[name]


def python_in(folder: Path, use_case: str) -> OwnPython:
    """Read a folder that holds nothing but the Python of a use case, such as a package's copy."""
    files = {path.name: _text(path) for path in folder.glob("*.py")}
    return OwnPython(use_case, tuple(sorted(files.items())))


def read_python(folder: Path, stem: str = FEATURES) -> OwnPython:
    """Read a module of a use case's folder and the siblings that it imports, as text.

    Raises
    ------
    ConfigError
        A file cannot be read as UTF-8.
    """
    files: dict[str, str] = {}
    pending = [stem] if (folder / f"{stem}.py").is_file() else []
    while pending:
        name = f"{pending.pop()}.py"
        files[name] = _text(folder / name)
        pending += [
            sibling
            for sibling in _siblings(files[name])
            if f"{sibling}.py" not in files and (folder / f"{sibling}.py").is_file()
        ]
    return OwnPython(folder.name, tuple(sorted(files.items())))


def _siblings(source: str) -> Iterator[str]:
    """Names of its own package that a source imports: `from .x import y`, `from . import x`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # the loader of use cases says so, with file and line
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.partition(".")[0] for name in names)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Make it a UTF-8 file.") from error


class _Loader(InspectLoader):
    """Gives Python's import system the text of one module."""

    def __init__(self, own: OwnPython, file: str | None) -> None:
        self._own, self._file = own, file

    def is_package(self, fullname: str) -> bool:
        """Whether this is the package itself, not a module of it."""
        return self._file is None

    def get_source(self, fullname: str) -> str:
        """Return the text; the package itself is empty."""
        return dict(self._own.files)[self._file] if self._file else ""

    def get_filename(self, fullname: str) -> str:
        """Return what tracebacks show: use case and file."""
        return f"{self._own.use_case}/{self._file or '__init__.py'}"

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        """Compile the text under the file name that tracebacks show."""
        return compile(
            self.get_source(fullname), self.get_filename(fullname), "exec", dont_inherit=True
        )


class _Finder(MetaPathFinder):
    """Finds the packages that `OwnPython.module` has announced."""

    def __init__(self) -> None:
        self.packages: dict[str, OwnPython] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        """Find one of our packages, or a module in it."""
        package, _, stem = fullname.partition(".")
        own = self.packages.get(package)
        if own is None or (stem and f"{stem}.py" not in dict(own.files)):
            return None
        loader = _Loader(own, f"{stem}.py" if stem else None)
        return spec_from_loader(fullname, loader, origin=loader.get_filename(fullname))


_FINDER = _Finder()
sys.meta_path.append(_FINDER)
