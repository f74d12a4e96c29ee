"""A package answers alike anywhere: bit for bit where the machine is the same, else within 1e-6."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.registry.package import load_package
from include.use_cases.python_package import OwnPython
from tests.support.packages import TinyPackage, make_package, tiny_rows

REPO = Path(__file__).resolve().parents[3]
OWN = OwnPython(
    "tiny",
    (
        ("features.py", "from .shapes import bent\n\ndef derive(frame):\n"
         "    return frame.assign(z=bent(frame['x']) * frame['z'])\n"),
        ("shapes.py", "import numpy as np\n\nSCALE = 0.37\n\n"
         "def bent(x):\n    return np.exp(-SCALE * x**2) / 3\n"),
    ),
)  # fmt: skip
MODELS = {
    "logistic_regression": ("classification", "logistic_regression"),
    "hist_gradient_boosting": ("classification", "hist_gradient_boosting"),
    "ridge": ("regression", None),
    "kmeans": ("clustering", None),
}
ROWS = 60
ANSWER = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from include.registry.package import load_package

rows = pd.read_parquet(sys.argv[1])
for package in sys.argv[4:]:
    folder = Path(package)
    model = load_package(folder / "package", folder / "keys" / "verify.pem")
    size = int(sys.argv[3])
    batches = [rows.iloc[at : at + size] for at in range(0, len(rows), size)]
    answers = pd.concat([model.predict(batch, {}) for batch in batches])
    np.save(Path(sys.argv[2]) / folder.name, answers.to_numpy(dtype="float64"))
"""


@dataclass(frozen=True)
class Packages:
    """A package of each kind of model, and rows to ask about."""

    where: Path
    made: dict[str, TinyPackage]
    rows: pd.DataFrame

    def answers(
        self, name: str, cwd: Path, batch: int = ROWS, **variables: str
    ) -> dict[str, np.ndarray]:
        """Ask all of them in a process of its own, which works in `cwd`."""
        out = self.where / name
        out.mkdir()
        self.rows.to_parquet(self.where / "rows.parquet")
        folders = [str(self.where / model) for model in self.made]
        arguments = [str(self.where / "rows.parquet"), str(out), str(batch), *folders]
        subprocess.run(
            [sys.executable, "-c", ANSWER, *arguments],
            cwd=cwd, check=True, env={**os.environ, "PYTHONPATH": str(REPO), **variables},
        )  # fmt: skip
        return {model: np.load(out / f"{model}.npy") for model in self.made}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    where = tmp_path_factory.mktemp("packages")
    made = {
        name: make_package(where / name, task, estimator=estimator, python=OWN)
        for name, (task, estimator) in MODELS.items()
    }
    return Packages(where, made, tiny_rows(ROWS, "2024-05", seed=11))


@pytest.fixture(scope="module")
def first(packages: Packages) -> dict[str, np.ndarray]:
    return packages.answers("first", REPO, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2")


def test_another_process_folder_and_an_edited_tree_answer_bit_for_bit(
    packages: Packages, first: dict[str, np.ndarray], tmp_path: Path
) -> None:
    edited = tmp_path / "use_cases" / "tiny"
    edited.mkdir(parents=True)
    (edited / "features.py").write_text("def derive(frame):\n    return frame.assign(z=1e9)\n")
    (edited / "shapes.py").write_text("raise SystemExit\n")
    (tmp_path / "features.py").write_text("raise SystemExit\n")
    again = packages.answers(
        "again", tmp_path,
        OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2",
        FLYWHEEL_USE_CASES=str(tmp_path / "use_cases"),
    )  # fmt: skip
    for name, answers in first.items():
        assert answers.shape[0] == ROWS
        assert np.unique(answers).size > 1
        assert again[name].tobytes() == answers.tobytes(), name


@pytest.mark.parametrize(
    ("batch", "threads"), [pytest.param(ROWS, "1", id="threads"), pytest.param(1, "2", id="rows")]
)
def test_elsewhere_answers_agree_within_1e_6_and_classes_are_the_same(
    packages: Packages, first: dict[str, np.ndarray], batch: int, threads: str
) -> None:
    other = packages.answers(
        f"other-{batch}-{threads}", REPO, batch,
        OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads,
    )  # fmt: skip
    for name, answers in first.items():
        np.testing.assert_allclose(other[name], answers, rtol=0, atol=1e-6)
        if name != "ridge":  # the first column is the class, or the cluster
            np.testing.assert_array_equal(other[name][:, 0], answers[:, 0])


def test_the_features_are_those_of_the_packages_own_python(packages: Packages) -> None:
    """By hand: exp(-0.37 x^2) / 3 in place of the file's constant."""
    made = packages.made["ridge"]
    model = made.load()
    rows = packages.rows
    X = rows.assign(z=np.exp(-0.37 * rows["x"] ** 2) / 3 * rows["z"])[["x", "z", "colour"]]
    expected = model.estimator.predict(X)
    np.testing.assert_allclose(model.predict(rows, {})["prediction"], expected, rtol=1e-12)


def test_two_versions_answer_side_by_side_in_one_process(tmp_path: Path) -> None:
    answers = []
    for factor in (2, 3):
        text = f"def derive(frame):\n    return frame.assign(x={factor} * frame['x'])\n"
        python = OwnPython("tiny", (("features.py", text),))
        made = make_package(tmp_path / str(factor), "regression", python=python)
        answers.append((load_package(made.folder, made.verify_key), factor))
    rows = tiny_rows(50)
    for model, factor in [*answers, *answers]:
        own = rows.assign(x=factor * rows["x"])[["x", "z", "colour"]]
        expected = model.estimator.predict(own)
        np.testing.assert_allclose(model.predict(rows, {})["prediction"], expected, rtol=1e-12)


def test_a_package_names_the_numerical_libraries_that_it_was_made_with(packages: Packages) -> None:
    found = packages.made["ridge"].load().facts["numerical_libraries"]
    assert {"openblas", "openmp"} <= {each["library"] for each in found}
    assert all(each["threads"] >= 1 for each in found)
