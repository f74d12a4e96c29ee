"""An exported folder scores as the registered version does, where nothing of this repository is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from include.errors import ConfigError, DataContractError
from include.modelling.scoring import score_rows
from include.registry import export as module
from include.registry.client import Registry
from include.registry.export import export
from include.registry.package import ServableModel
from include.registry.signing import verify
from tests.support.packages import TinyPackage, make_package, tiny_rows, tiny_use_case
from tests.support.three_classes import three_classes

CANDIDATES = {
    "classification": ["logistic_regression", "hist_gradient_boosting", "random_forest"],
    "regression": ["ridge", "hist_gradient_boosting"],
}


@dataclass(frozen=True)
class OnDisk:
    """A registry with one version."""

    package: TinyPackage

    def load(self, name: str, version: str) -> ServableModel:
        return self.package.load(version)

    def fetch(self, name: str, version: str) -> Path:
        return self.package.folder


def registry_of(package: TinyPackage) -> Registry:
    return cast("Registry", OnDisk(package))


def run_example(folder: Path, rows: list[dict[str, Any]] | None = None) -> np.ndarray:
    """Run it as a stranger does: isolated, from the folder."""
    options = [] if rows is None else ["-"]
    done = subprocess.run(
        [sys.executable, "-I", "example.py", *options],
        cwd=folder, input=json.dumps({"rows": rows}), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return np.array(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("task", "estimator"), [(task, one) for task, all_ in CANDIDATES.items() for one in all_]
)
def test_an_export_scores_as_the_version_does(tmp_path: Path, task: str, estimator: str) -> None:
    train = {"train": {**tiny_use_case(task).model_dump(mode="json")["train"]}}
    train["train"]["candidates"] = [{"estimator": estimator}]
    package = make_package(tmp_path, use_case=tiny_use_case(task, **train), estimator=estimator)
    folder = tmp_path / "to" / "embed"

    compared = export("tiny", "1", registry_of(package), folder)

    assert (compared.model, compared.rows) == ("tiny/1", 400)
    assert compared.largest_difference <= 1e-9
    told = json.loads((folder / "example.json").read_text())
    np.testing.assert_allclose(run_example(folder), told["scores"], rtol=0, atol=1e-12)
    rows = [
        {"x": x, "z": z, "colour": colour}
        for x in (-1.5, None, 2.0**24 + 1)
        for z in (0.5, None)
        for colour in ("red", "mauve", "missing", "")
    ]
    model = package.load()
    frame = pd.DataFrame(rows).astype({"x": float, "z": float, "colour": "str"})
    expected = score_rows(model.estimator, frame, model.use_case)
    found = run_example(folder, rows)[:, -1]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert not list(folder.parent.glob(".*")), "nothing unfinished is left"


def test_each_class_has_a_column_with_its_name(tmp_path: Path) -> None:
    use_case = three_classes()
    rows = tiny_rows().assign(outcome=np.arange(400) % 3)
    package = make_package(tmp_path, use_case=use_case, rows=rows)
    folder = tmp_path / "embed"
    export(use_case.name, "1", registry_of(package), folder)
    about = json.loads((folder / "model.json").read_text())
    assert about["scores"] == [f"probability of {name}" for name in use_case.class_names]
    assert run_example(folder).sum(axis=1) == pytest.approx(1.0)


def test_the_folder_says_what_it_is_and_can_be_traced(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    folder = tmp_path / "embed"
    compared = export("tiny", "1", registry_of(package), folder)
    card = (folder / "CARD.md").read_text()
    for words in (
        "# tiny/1", "Does the synthetic thing happen?", "tests@example.com", "logistic_regression",
        "- roc_auc: 0.75", "| `colour` | text | the request's column |", "joins no reference",
    ):  # fmt: skip
        assert words in card
    assert json.loads((folder / "parity.json").read_text())["rows"] == compared.rows
    content, signature = (
        (folder / name).read_bytes() for name in ("manifest.json", "manifest.sig")
    )
    assert verify(content, signature, package.verify_key)
    pins = (folder / "requirements.txt").read_text()
    assert [pin.split("==")[0] for pin in pins.split()] == ["numpy", "onnxruntime"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "embed"


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(ConfigError, match="must be a new folder"):
        export("tiny", "1", registry_of(make_package(tmp_path)), folder)
    assert [file.name for file in folder.iterdir()] == ["mine"]


def test_a_version_without_a_graph_is_refused_with_the_reason(tmp_path: Path, folder: Path) -> None:
    package = make_package(tmp_path, "clustering")
    with pytest.raises(ConfigError, match=r"tiny/1 has no ONNX graph \(clusters have no graph"):
        export("tiny", "1", registry_of(package), folder)
    assert not folder.exists()


@pytest.mark.parametrize("fault", ["altered", "differs", "fails"])
def test_nothing_is_left_of_an_export_that_fails(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    package = make_package(tmp_path)
    faults: dict[str, Callable[[], None]] = {
        "altered": lambda: (package.folder / "flywheel" / "model.onnx").write_bytes(b"other"),  # type: ignore[dict-item, return-value]
        "differs": lambda: monkeypatch.setattr(module, "_raw_scores", lambda *_: 0.25),
        "fails": lambda: monkeypatch.setattr(module, "whole_graph", lambda *_: b"no graph"),
    }
    faults[fault]()
    words = {"altered": "altered", "differs": "differ by up to", "fails": "example.py failed"}
    with pytest.raises(DataContractError, match=words[fault]):
        export("tiny", "1", registry_of(package), folder)
    assert [path.name for path in tmp_path.iterdir() if "embed" in path.name] == []
