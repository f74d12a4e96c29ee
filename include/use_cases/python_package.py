"""The Python of a use case, carried as text and imported as a package of its own.

A result names the source text that made it, and a model package holds a copy of it. `read_python`
takes the text from a folder. `OwnPython.module` imports it under a name that holds the digest of
the text, so that two versions stand side by side in one process.

Modules stand in `sys.modules` as any others do, so dataclasses, postponed annotations, pickles and
loggers work, and tracebacks show the source lines. `__file__` is a name and no place: a model
package carries no data files, and what it reads must not depend on the machine.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import linecache
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from include.errors import ConfigError

FEATURES = "features"
"""The module whose `derive(frame)` adds columns; see `include.modelling.features`."""

LABELS = "labels"
"""The module whose functions label rows; see `include.label.functions`."""

MOST_PACKAGES = 128
"""So many versions stay imported in one process; the oldest goes first, and comes back when used.

A server that runs for months would otherwise keep every version that it ever answered with.
"""

_PREFIX = "use_case_"
_FILE_NAME = re.compile(r"(?P<use_case>\w+)@[0-9a-f]{16}/(?P<file>[^/]+\.py)")
"""What `_folder` and a file make, as tracebacks show them."""


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

    def part(self, *stems: str) -> OwnPython:
        """Return these modules and the siblings that they import, alone."""
        texts = dict(self.files)
        return _with_siblings(self.use_case, stems, lambda file: texts.get(file))

    def module(self, stem: str = FEATURES) -> ModuleType | None:
        """Import one of the files; None when it is not there.

        It is imported once per process. Threads that ask meanwhile wait for the whole module. After
        a failure it is tried again.

        Raises
        ------
        ConfigError
            The file, or one that it imports, cannot be imported: which, in which line, and why.
        """
        name = f"{self.package}.{stem}"
        if (module := _PACKAGES.modules.get(name)) is not None:
            return module
        if f"{stem}.py" not in dict(self.files):
            return None
        try:
            return _PACKAGES.import_module(self, name)
        except SystemExit as error:  # it would end a thread of the server without a word
            raise ConfigError(
                f"{self.use_case}/{stem}.py: must define functions only, but ends the "
                "process when it is imported. Remove sys.exit() from it."
            ) from error
        except Exception as error:
            place = place_of(error) or f"{self.use_case}/{stem}.py, line 1"
            raise ConfigError(
                f"{place}: cannot be imported, got {type(error).__name__}: {error}. Correct it."
            ) from error


def place_of(error: BaseException) -> str | None:
    """Write in which line of a use case's Python an exception arose; None when in none.

    Of several lines on the way it is the last: such as ``flight_delays/features.py, line 12``.
    """
    found = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        found.append((error.filename or "", error.lineno))
    own = [(match, line) for file, line in found if (match := _FILE_NAME.fullmatch(file))]
    if not own:
        return None
    match, line = own[-1]
    return f"{match['use_case']}/{match['file']}, line {line or 1}"


def python_in(folder: Path, use_case: str) -> OwnPython:
    """Read a folder that holds nothing but the Python of a use case, such as a package's copy."""
    files = {path.name: _text(path) for path in folder.glob("*.py")}
    return OwnPython(use_case, tuple(sorted(files.items())))


def read_python(folder: Path, *stems: str) -> OwnPython:
    """Read modules of a use case's folder and the siblings that they import, as text.

    Parameters
    ----------
    folder : Path
        The use case's.
    *stems : str
        Names of the modules; those that are not there are left out. `features` by default.

    Raises
    ------
    ConfigError
        A file cannot be read as UTF-8.
    """

    def text_of(file: str) -> str | None:
        return _text(folder / file) if (folder / file).is_file() else None

    return _with_siblings(folder.name, stems or (FEATURES,), text_of)


def _with_siblings(
    use_case: str, stems: Sequence[str], text_of: Callable[[str], str | None]
) -> OwnPython:
    files: dict[str, str] = {}
    pending = list(stems)
    while pending:
        name = f"{pending.pop()}.py"
        if name not in files and (text := text_of(name)) is not None:
            files[name] = text
            pending += _siblings(text)
    return OwnPython(use_case, tuple(sorted(files.items())))


def _siblings(source: str) -> Iterator[str]:
    """Names of its own package that a source imports: `from .x import y`, `from . import x`."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of its escape sequences
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # the loader of use cases says so, with file and line
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.partition(".")[0] for name in names)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows write a mark of order
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: cannot be read ({error}). Make it a UTF-8 file."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Make it readable.") from error


def _folder(own: OwnPython) -> str:
    """Name a version's folder in tracebacks: two versions must not show each other's lines."""
    return f"{own.use_case}@{own.digest[:16]}"


class _Loader(ExecutionLoader):
    """Gives Python's import system the text of one module."""

    def __init__(self, own: OwnPython, file: str | None) -> None:
        self._source = dict(own.files)[file] if file else ""  # the package itself is empty
        self._filename = f"{_folder(own)}/{file or '__init__.py'}"

    def get_source(self, fullname: str) -> str:
        """Return the text; tracebacks take their lines from here."""
        return self._source

    def get_filename(self, fullname: str) -> str:
        """Return what tracebacks show: use case, digest and file."""
        return self._filename


class _Packages(MetaPathFinder):
    """The versions that are imported at present, and Python's finder of their modules."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}  # whole ones: Python lists them from their start
        self._texts: dict[str, OwnPython] = {}  # by package, oldest first
        # One for all: with a lock per module, two threads in a circle would get half a module.
        self._importing = threading.RLock()

    def import_module(self, own: OwnPython, name: str) -> ModuleType:
        """Import a module of a version, which is remembered; the oldest version may go for it."""
        with self._importing:
            if own.package not in self._texts:
                for oldest in list(self._texts)[: len(self._texts) - MOST_PACKAGES + 1]:
                    self._forget(oldest)
                self._texts[own.package] = own
            module = importlib.import_module(name)
            self.modules[name] = module
            return module

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        """Find one of our packages, or a module in it."""
        package, _, stem = fullname.partition(".")
        own = self._texts.get(package)
        file = f"{stem}.py" if stem else None
        if own is None or (file and file not in dict(own.files)):
            return None
        loader = _Loader(own, file)
        origin = loader.get_filename(fullname)
        spec = ModuleSpec(fullname, loader, origin=origin, is_package=file is None)
        spec.has_location = True  # sets `__file__`
        return spec

    def _forget(self, package: str) -> None:
        own = self._texts.pop(package)
        for name in [package, *(f"{package}.{Path(file).stem}" for file, _ in own.files)]:
            self.modules.pop(name, None)
            sys.modules.pop(name, None)
        for file, _ in own.files:
            linecache.cache.pop(f"{_folder(own)}/{file}", None)


_PACKAGES = _Packages()
sys.meta_path.insert(0, _PACKAGES)  # before the search of `sys.path`, which must not find any
