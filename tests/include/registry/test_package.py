"""What a package holds, and that nothing that was not signed is ever loaded."""

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from include.errors import ConfigError, DataContractError
from include.registry import manifest
from include.registry import package as package_module
from include.registry.package import (
    load_package,
    pinned_requirements,
    verify_package,
    write_package,
)
from include.registry.signing import ensure_keys
from tests.support.packages import TinyPackage, make_package, tiny_rows, tiny_use_case


def _forbid_loading(monkeypatch) -> None:
    """From here on, any look into a package beyond its manifest fails the test."""

    def loaded(*_args, **_kwargs):
        pytest.fail("something of the package was loaded before it was verified")

    for module, name in [
        (skops.io, "load"),
        (skops.io, "loads"),
        (pickle, "load"),
        (pickle, "loads"),
        (pd, "read_parquet"),
        (mlflow.sklearn, "load_model"),
        (package_module, "load_text"),
    ]:
        monkeypatch.setattr(module, name, loaded)


def _resign(folder: Path, key: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.sig").unlink()
    manifest.seal(folder, key, use_case="tiny", run_id="run-1")


# What is in it


@pytest.mark.parametrize("task", ["classification", "regression", "clustering"])
def test_a_loaded_model_predicts_what_the_saved_one_did(tmp_path, task):
    made = make_package(tmp_path, task)
    model = made.load()

    assert model.use_case == made.use_case
    assert model.version == "1"
    answers = model.predict_features(model.reference)
    scores = answers["score"] if task == "classification" else answers["prediction"]
    np.testing.assert_allclose(scores, model.reference["prediction"], rtol=1e-12)


def test_whichever_candidate_wins_can_be_packaged(tmp_path):
    model = make_package(tmp_path, estimator="hist_gradient_boosting").load()
    assert type(model.estimator[-1]).__name__ == "HistGradientBoostingClassifier"
    answers = model.predict_features(model.reference)
    np.testing.assert_allclose(answers["score"], model.reference["prediction"], rtol=1e-12)


def test_predictions_are_a_class_and_its_probability(package):
    X = pd.DataFrame(
        {"x": [-3.0, 3.0], "z": [0.0, np.nan], "colour": ["green", "new"]}, index=[7, 9]
    )

    answers = package.load().predict_features(X)

    assert list(answers.index) == [7, 9]
    assert list(answers["prediction"]) == [0, 1]
    assert answers.dtypes.astype(str).to_dict() == {"prediction": "int64", "score": "float64"}
    assert answers["score"][7] < 0.05
    assert answers["score"][9] > 0.95


def test_clusters_and_values_have_no_score(tmp_path):
    clusters = make_package(tmp_path / "c", "clustering").load()
    values = make_package(tmp_path / "r", "regression").load()

    assert clusters.predict_features(clusters.reference).dtypes.astype(str).to_dict() == {
        "prediction": "int64"
    }
    assert values.predict_features(values.reference).dtypes.astype(str).to_dict() == {
        "prediction": "float64"
    }


def test_raw_rows_go_through_the_features(package):
    model = package.load()
    rows = pd.DataFrame([model.example])

    pd.testing.assert_frame_equal(model.predict(rows, {}), model.predict_features(rows))


def test_it_says_what_a_request_carries(package):
    model = package.load()

    assert model.request_columns == {"x": "float64", "z": "float64", "colour": "string"}
    assert list(model.example) == sorted(model.request_columns)


def test_the_reference_is_a_sample_of_the_size_that_monitoring_wants(tmp_path):
    use_case = tiny_use_case(monitor={"sample_rows": 200})
    reference = make_package(tmp_path, use_case=use_case).load().reference

    assert list(reference.columns) == ["x", "z", "colour", "prediction"]
    assert len(reference) == 200  # of 400


def test_the_manifest_lists_every_file_with_the_sha256_of_its_content(package):
    listed = verify_package(package.folder, package.verify_key)

    assert (listed["use_case"], listed["run_id"]) == ("tiny", "run-1")
    found = {
        str(path.relative_to(package.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in package.folder.rglob("*")
        if path.is_file() and not path.name.startswith("manifest.")
    }
    assert listed["files"] == found
    assert "model.skops" in found


def test_mlflow_knows_the_signature_and_the_locked_requirements(package):
    from mlflow.models import Model

    signature = Model.load(str(package.folder)).signature
    columns = {column.name: column.type.name for column in signature.inputs.inputs}
    assert columns == {"x": "double", "z": "double", "colour": "string"}
    requirements = (package.folder / "requirements.txt").read_text().split()
    assert [line for line in requirements if not line.startswith("mlflow")] == list(
        pinned_requirements()
    )


def test_pins_are_those_of_the_lock_for_this_python(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:aa\n"
        "numpy==9.9.9 ; python_full_version >= '99' \\\n    --hash=sha256:bb\n"
        "pandas==3.0.6 \\\nscikit-learn==1.9.1\nscipy==1.17.1\nskops==0.16.0\nother==1\n"
    )
    expected = ("pandas==3.0.6", "scikit-learn==1.9.1", "scipy==1.17.1", "skops==0.16.0")
    assert pinned_requirements(lock)[1:] == expected


def test_a_lock_without_a_needed_package_is_refused(tmp_path):
    (tmp_path / "lock.txt").write_text("numpy==2.4.6\n")
    with pytest.raises(ConfigError, match=r"lacks \['pandas', 'scikit-learn', 'scipy', 'skops'\]"):
        pinned_requirements(tmp_path / "lock.txt")


def test_facts_that_are_not_json_are_refused(tmp_path):
    made = make_package(tmp_path / "good")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_package(
            tmp_path / "bad",
            estimator=made.load().estimator,
            use_case=made.use_case,
            python=made.load().python,
            example={},
            reference=made.load().reference,
            facts={"metrics": {"roc_auc": float("nan")}},
            run_id="r",
            signing_key=made.signing_key,
        )


# What is refused


def test_the_guard_of_these_tests_would_notice_loading(package, monkeypatch):
    _forbid_loading(monkeypatch)
    with pytest.raises(pytest.fail.Exception, match="before it was verified"):
        load_package(package.folder, package.verify_key)


def _alter_facts(folder: Path) -> None:
    facts = json.loads((folder / "flywheel/facts.json").read_text())
    (folder / "flywheel/facts.json").write_text(json.dumps({**facts, "as_of": "2099-01"}))


def _swap_model(folder: Path) -> None:
    other = make_package(folder.parent / "other", seed=1)
    shutil.copy(other.folder / "model.skops", folder / "model.skops")


def _evil_mlmodel(folder: Path) -> None:
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("mlflow.sklearn", "evil"))


def _link(folder: Path) -> None:
    (folder / "model.skops").rename(folder.parent / "elsewhere")
    (folder / "model.skops").symlink_to(folder.parent / "elsewhere")


def _edit_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"use_case": "tiny"', '"use_case": "huge"'))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (_alter_facts, r"altered: \['flywheel/facts.json'\]"),
        (_swap_model, r"altered: \['model.skops'\]"),
        (_evil_mlmodel, r"altered: \['MLmodel'\]"),
        (lambda folder: (folder / "extra.py").write_text("x"), r"got also \['extra.py'\]"),
        (lambda folder: (folder / "model.skops").unlink(), r"\['model.skops'\] are missing"),
        (_link, r"must not hold symbolic links, got \['model.skops'\]"),
        (_edit_manifest, r"manifest.sig must sign manifest.json"),
        (
            lambda folder: (folder / "manifest.sig").write_bytes(b"\0" * 64),
            "manifest.sig must sign",
        ),
        (lambda folder: (folder / "manifest.sig").unlink(), "manifest.sig is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
    ],
)
def test_a_tampered_package_is_refused_unread(package: TinyPackage, tamper, message, monkeypatch):
    tamper(package.folder)
    _forbid_loading(monkeypatch)
    with pytest.raises(DataContractError, match=message) as refused:
        load_package(package.folder, package.verify_key)
    assert str(package.folder) in str(refused.value)
    assert "Nothing of it was loaded" in str(refused.value)


def test_a_package_signed_with_another_key_is_refused(package, tmp_path, monkeypatch):
    ensure_keys(tmp_path / "theirs.pem", tmp_path / "theirs_public.pem")
    _resign(package.folder, tmp_path / "theirs.pem")
    _forbid_loading(monkeypatch)
    with pytest.raises(DataContractError, match=rf"private half of {package.verify_key}"):
        load_package(package.folder, package.verify_key)


def test_without_a_verifying_key_nothing_is_loaded(package, tmp_path, monkeypatch):
    _forbid_loading(monkeypatch)
    with pytest.raises(ConfigError, match="FLYWHEEL_VERIFY_KEY"):
        load_package(package.folder, tmp_path / "nowhere.pem")


def _run(rows):
    os.environ["FLYWHEEL_TEST_EVIL"] = "ran"
    return rows


def test_a_signed_model_of_untrusted_types_is_refused(package):
    """Should a wrong model ever be signed, the constant list of types still stands."""
    skops.io.dump(FunctionTransformer(_run), package.folder / "model.skops")
    _resign(package.folder, package.signing_key)
    with pytest.raises(
        DataContractError, match=r"only the types of include/registry/trusted.py.*_run"
    ):
        load_package(package.folder, package.verify_key)
    assert "FLYWHEEL_TEST_EVIL" not in os.environ


def test_a_pickle_in_the_models_place_is_not_unpickled(package):
    class Evil:
        def __reduce__(self):
            return os.putenv, ("FLYWHEEL_TEST_EVIL", "ran")

    (package.folder / "model.skops").write_bytes(pickle.dumps(Evil()))
    _resign(package.folder, package.signing_key)
    with pytest.raises(DataContractError, match=r"model.skops must be a skops file"):
        load_package(package.folder, package.verify_key)


def test_the_graph_is_in_the_signed_manifest_and_scores(tmp_path):
    made = make_package(tmp_path, estimator="hist_gradient_boosting")
    files = verify_package(made.folder, made.verify_key)["files"]
    assert {"flywheel/model.onnx", "flywheel/runtime.json"} <= set(files)
    model = made.load()
    assert model.parity["runtime"] == "onnx"
    assert model.parity["max_difference"] < 1e-9
    assert model.parity["rows"] > 500
    model.estimator[-1].predict_proba = None  # nobody asks it
    assert len(model.predict(tiny_rows(5), {})) == 5


def test_where_there_is_no_graph_scikit_learn_scores_and_the_package_says_why(tmp_path):
    model = make_package(tmp_path, "clustering").load()
    assert not (tmp_path / "package" / "flywheel" / "model.onnx").exists()
    assert model.onnx is None
    assert model.parity["runtime"] == "scikit-learn"
    assert model.parity["reason"] == "clusters have no graph here"
