"""What a use case's Python may import: what a model package brings along, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from include.registry.package import NEEDED
from include.use_cases.python_source import PACKAGES, problems_of_python

MAY = (
    "it may import the standard library, numpy, pandas, scipy, sklearn, and modules of its own "
    "folder (`from .helpers import scale`)"
)
BRINGS = ": a model package brings only these along. Remove the import, or put what it needs into "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helpers.py").write_text("X = 1\n")
    (tmp_path / "__init__.py").write_text('"""Churn."""\n')
    return tmp_path


def problems(folder: Path, text: str) -> list[str]:
    (folder / "features.py").write_text(text)
    return list(problems_of_python(folder / "features.py"))


@pytest.mark.parametrize(
    "text",
    [
        "from __future__ import annotations\nimport os.path, json, zoneinfo\n",
        "import numpy as np\nimport pandas\nfrom sklearn.cluster import KMeans\n",
        "from scipy.stats import norm\n",
        "from .helpers import X\n",
        "from . import helpers\n",
        "from . import helpers as h, features\n",
        "try:\n    import lightgbm\nexcept ImportError:\n    lightgbm = None\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from include.errors import E\n",
    ],
)
def test_what_may_be_imported(folder: Path, text: str) -> None:
    assert problems(folder, text) == []


@pytest.mark.parametrize("name", ["include", "airflow", "requests", "skops", "mlflow", "nowhere"])
def test_what_a_model_package_lacks_is_refused(folder: Path, name: str) -> None:
    said = f"imports {name!r}; {MAY}{BRINGS}this folder."
    assert problems(folder, f"import numpy\nimport json, {name}.x\n") == [f"line 2: {said}"]
    assert problems(folder, f"def f():\n\n    from {name}.x import y\n") == [f"line 3: {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "from .helper import X\n",
            "line 1: imports '.helper', but the modules of this folder are ['features', "
            "'helpers']. Correct the name, or add the file to the folder.",
        ),
        ("from . import helpers, gone\n", "line 1: imports '.gone', but the modules of this"),
        ("from .helpers.deep import X\n", "line 1: imports '.helpers.deep', but the modules of"),
        ("from . import *\n", "line 1: imports '.*', but the modules of this folder are"),
        (
            "\nfrom ..air_time.features import derive\n",
            "line 2: imports from '..air_time.features', outside of the use case's folder; "
            f"{MAY}. Copy what it needs into this folder.",
        ),
        ("from .. import base\n", "line 1: imports from '..', outside of the use case's folder"),
        (
            "import helpers\n",
            "line 1: imports 'helpers' as if it were installed, but it is a module of this "
            "folder. Write `from . import helpers`.",
        ),
        ("from helpers import X\n", "line 1: imports 'helpers' as if it were installed"),
    ],
)
def test_modules_outside_of_the_folder_are_refused_with_the_remedy(
    folder: Path, text: str, said: str
) -> None:
    [problem] = problems(folder, text)
    assert problem.startswith(said)


def test_every_import_is_told(folder: Path) -> None:
    told = problems(folder, "import a, numpy, b\nfrom c import d\nimport a.x, a.y\n")
    assert [problem.split(";")[0] for problem in told] == [
        "line 1: imports 'a'",
        "line 1: imports 'b'",
        "line 2: imports 'c'",
        "line 3: imports 'a'",
    ]


def test_the_list_names_what_a_model_package_pins() -> None:
    installed = packages_distributions()
    assert {name: installed[name][0] for name in PACKAGES} == PACKAGES
    assert set(PACKAGES.values()) == set(NEEDED) - {"skops"}  # skops reads the model


def test_what_passes_can_be_imported_where_nothing_of_ours_is(folder: Path) -> None:
    """A second opinion: Python itself, isolated, imports the accepted folder as a package."""
    text = "from . import helpers\nimport numpy, pandas, scipy, sklearn\nANSWER = helpers.X\n"
    assert problems(folder, text) == []
    code = f"import sys; sys.path.insert(0, {str(folder.parent)!r}); " + (
        f"from {folder.name} import features; print(features.ANSWER)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
