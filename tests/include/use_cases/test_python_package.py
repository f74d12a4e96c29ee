"""A use case's Python: carried as text, imported as any package is, and each version by itself."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import linecache
import logging
import pickle
import sys
import textwrap
import threading
import traceback
import typing
from pathlib import Path
from types import ModuleType

import pytest

from include.errors import ConfigError
from include.use_cases import python_package
from include.use_cases.python_package import OwnPython, place_of, python_in, read_python


def own(use_case: str = "churn", **files: str) -> OwnPython:
    texts = ((f"{stem}.py", textwrap.dedent(text)) for stem, text in files.items())
    return OwnPython(use_case, tuple(sorted(texts)))


def imported(python: OwnPython, stem: str = "features") -> ModuleType:
    module = python.module(stem)
    assert module is not None
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "churn"
    folder.mkdir()
    return folder


# From a folder to text, and back


def test_a_module_is_read_with_the_siblings_that_it_imports(folder: Path) -> None:
    (folder / "features.py").write_text("from .scales import scale\nimport numpy\n")
    (folder / "scales.py").write_text("def scale(x):\n    from . import units\n    return x\n")
    (folder / "units.py").write_text("KG = 1\n")
    (folder / "labels.py").write_text("RULE = 1\n")
    assert [name for name, _ in read_python(folder).files] == [
        "features.py", "scales.py", "units.py",
    ]  # fmt: skip
    assert [name for name, _ in read_python(folder, "labels").files] == ["labels.py"]
    assert read_python(folder).use_case == "churn"


def test_a_use_case_without_python_has_no_digest_and_no_module(folder: Path) -> None:
    assert read_python(folder) == OwnPython("churn")
    assert (OwnPython("churn").digest, OwnPython("churn").module()) == ("", None)


def test_the_digest_follows_every_text_and_every_name() -> None:
    one = own(features="from . import a\n", a="X = 1\n")
    assert one.digest == own(a="X = 1\n", features="from . import a\n").digest
    assert len(one.digest) == 64
    others = [own(features="from . import a\n", a="X = 2\n"), own(features="X = 1\n"), own(a="")]
    assert len({one.digest, *(other.digest for other in others)}) == 4


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    python = own(features="from . import a\nNAME = 'ä\\n'\n", a="X = 1\n")
    python.write(tmp_path / "copy")
    assert python_in(tmp_path / "copy", "churn") == python


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbfX = 'a'\nY = 2\n", b"X = 'a'\r\nY = 2\r\n", b"\xef\xbb\xbfX = 'a'\r\nY = 2\r\n"],
)
def test_byte_order_mark_and_line_ends_of_windows_change_nothing(
    folder: Path, content: bytes
) -> None:
    (folder / "features.py").write_bytes(content)
    python = read_python(folder)
    assert python == own(features="X = 'a'\nY = 2\n")
    assert (imported(python).X, imported(python).Y) == ("a", 2)


def test_a_file_that_is_not_utf_8_is_refused(folder: Path) -> None:
    (folder / "features.py").write_bytes(b"X = '\xff'\n")
    with pytest.raises(
        ConfigError, match=r"features.py, line 1: cannot be read .* Make it a UTF-8 file"
    ):
        read_python(folder)


# What a module may do, as in any package


def test_siblings_are_imported_by_each_relative_form() -> None:
    python = own(
        features="""
            from . import a
            from .b import Y as y
            def total():
                from .c import Z
                return a.X + y + Z
            """,
        a="X = 1\n",
        b="from .a import X\nY = X + 1\n",
        c="Z = 10\n",
    )
    assert imported(python).total() == 13
    assert imported(python, "b").Y == 2
    assert imported(python).a is imported(python, "a")


def test_modules_that_import_each_other() -> None:
    python = own(
        features="from . import other\nONE = 1\ndef two():\n    return other.TWO\n",
        other="from . import features\nTWO = 2\ndef one():\n    return features.ONE\n",
    )
    assert (imported(python).two(), imported(python, "other").one()) == (2, 1)


def test_postponed_annotations_dataclasses_and_pickles() -> None:
    python = own(
        features="""
            from __future__ import annotations
            from dataclasses import dataclass
            from typing import ClassVar
            @dataclass(frozen=True)
            class Point:
                x: int
                near: Point | None = None
                KIND: ClassVar[str] = "point"
            """
    )
    module = imported(python)
    point = module.Point(1, module.Point(2))
    assert [field.name for field in dataclasses.fields(point)] == ["x", "near"]
    assert typing.get_type_hints(module.Point)["near"] == module.Point | None
    assert pickle.loads(pickle.dumps(point)) == point  # noqa: S301 - made one line before


def test_our_own_annotations_are_not_handed_on() -> None:
    assert imported(own(features="x: 1 + 1 = 0\n")).__annotations__ == {"x": 2}


def test_loggers_and_file_name_the_module(caplog: pytest.LogCaptureFixture) -> None:
    python = own(features="import logging\nlogging.getLogger(__name__).warning('odd')\n")
    with caplog.at_level(logging.WARNING):
        module = imported(python)
    [record] = caplog.records
    assert (record.filename, record.lineno, record.getMessage()) == ("features.py", 2, "odd")
    assert record.name == module.__name__ == f"use_case_churn_{python.digest[:16]}.features"
    assert module.__file__ == f"churn@{python.digest[:16]}/features.py"
    assert module.__package__ == module.__name__.removesuffix(".features")


def test_tracebacks_show_the_lines_of_their_own_version() -> None:
    for number in (1, 2):
        text = f"def derive(frame):\n    raise KeyError({number})  # version {number}\n"
        with pytest.raises(KeyError) as error:
            imported(own(features=text)).derive(None)
        shown = "".join(traceback.format_exception(error.value))
        assert f"raise KeyError({number})  # version {number}" in shown
        assert place_of(error.value) == "churn/features.py, line 2"


def test_source_can_be_inspected() -> None:
    module = imported(own(features="X = 1\ndef derive(frame):\n    return frame\n"))
    assert inspect.getsource(module.derive) == "def derive(frame):\n    return frame\n"


def test_an_error_elsewhere_has_no_place() -> None:
    assert place_of(ValueError("not ours")) is None


# Versions beside each other


def test_two_versions_stand_side_by_side() -> None:
    versions = [own(features="from .a import X\n", a=f"X = {number}\n") for number in (1, 2)]
    modules = [imported(version) for version in versions]
    assert [module.X for module in modules] == [1, 2]
    assert [imported(version) for version in versions] == modules
    assert imported(own("other", features="from .a import X\n", a="X = 1\n")) is not modules[0]


def test_the_same_text_is_imported_once() -> None:
    first = imported(own(features="OBJECT = object()\n"))
    assert imported(own(features="OBJECT = object()\n")).OBJECT is first.OBJECT


def test_nothing_of_it_is_found_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = own(features="from .a import X\n", a="X = 'own'\n")
    (tmp_path / python.package).mkdir()
    (tmp_path / python.package / "a.py").write_text("X = 'of the path'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert imported(python).X == "own"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{python.package}.b")


def test_a_process_keeps_a_bounded_number_of_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_package, "MOST_PACKAGES", 3)
    versions = [
        own(
            features=f"from . import a\ndef f():\n    return 1 // 0  # {number}\n",
            a=f"X = {number}\n",
        )
        for number in range(10)
    ]
    modules = [imported(version) for version in versions]
    with pytest.raises(ZeroDivisionError) as error:
        modules[-1].f()
    traceback.format_exception(error.value)
    kept = [v for v in versions if any(n.startswith(v.package) for n in sys.modules)]
    assert kept == versions[-3:]
    assert [
        v for v in versions if f"{v.package}.features" in python_package._PACKAGES.modules
    ] == kept
    assert imported(versions[0]).a.X == 0  # it comes back
    with pytest.raises(ZeroDivisionError):
        modules[0].f()  # and what somebody still holds goes on working
    for number in range(100, 103):
        imported(own(features=f"X = {number}\n"))
    names = [f"churn@{version.digest[:16]}/features.py" for version in versions]
    assert [name for name in names if name in linecache.cache] == []


def test_twenty_threads_import_at_once() -> None:
    python = own(
        features="""
            import time
            from . import a
            time.sleep(0.05)
            OBJECT = object()
            def derive(frame):
                return a.X
            """,
        a="import time\ntime.sleep(0.05)\nfrom . import features\nX = 1\n",
    )
    start, found = threading.Barrier(20), []

    def ask(stem: str) -> None:
        start.wait()
        module = imported(python, stem)
        found.append((module.OBJECT, module.derive(None)) if stem == "features" else module.X)

    threads = [
        threading.Thread(target=ask, args=("a" if number % 2 else "features",))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    objects = [one for one in found if one != 1]
    assert (len(objects), len(found)) == (10, 20)
    assert {one for one in objects} == {(imported(python).OBJECT, 1)}


# What cannot be imported


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"features": "from . import a\n", "a": "X = 1\nimport nothing_of_the_kind\n"},
            "churn/a.py, line 2: cannot be imported, got ModuleNotFoundError: No module named "
            "'nothing_of_the_kind'. Correct it.",
        ),
        (
            {"features": "from .a import X\n", "a": "X = 1\ndef f(\n"},
            "churn/a.py, line 2: cannot be imported, got SyntaxError: '(' was never closed",
        ),
        (
            {"features": "X = 1\n\nfrom .a import Y\n", "a": "X = 1\n"},
            "churn/features.py, line 3: cannot be imported, got ImportError: cannot import name",
        ),
        (
            {"features": "from . import gone\n"},
            "churn/features.py, line 1: cannot be imported, got ImportError: cannot import name",
        ),
        (
            {"features": "from .a import X\n", "a": "from .features import Y\nX = 1\n"},
            "churn/a.py, line 1: cannot be imported, got ImportError: cannot import name 'Y' from "
            "partially initialized module",
        ),
        ({"features": "X = 'a\0'\n"}, "churn/features.py, line 1: cannot be imported, got"),
        (
            {"features": "import sys\nsys.exit()\n"},
            "churn/features.py: must define functions only, but ends the process",
        ),
    ],
)
def test_what_cannot_be_imported_is_told_with_file_and_line(
    files: dict[str, str], message: str
) -> None:
    python = own(**files)
    for _ in range(2):  # the second time it is tried again
        with pytest.raises(ConfigError) as error:
            python.module()
        assert str(error.value).startswith(message)


def test_a_module_that_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    python = own(
        features="import os\nfrom . import a\nX = int(os.environ['AN_ANSWER'])\n",
        a="O = object()\n",
    )
    with pytest.raises(ConfigError, match="line 3: cannot be imported, got KeyError"):
        python.module()
    helper = imported(python, "a")
    monkeypatch.setenv("AN_ANSWER", "42")
    assert imported(python).X == 42
    assert imported(python).a is helper
