"""Own estimators and own metrics: what is checked on a sample, what is stored, what is refused."""

import json
import re

import numpy as np
import pytest

from include.errors import ConfigError, DataContractError
from include.modelling import estimators
from include.modelling.metrics import evaluate, metric_of
from include.modelling.scoring import score_rows
from include.modelling.uncertainty import estimate, estimate_gain
from include.registry import manifest
from include.registry.own_code import check_own_code, problems_of_own_code
from include.registry.package import load_package
from include.use_cases.python_package import OwnPython
from tests.support.packages import TINY, make_package, tiny_rows, tiny_use_case

MODELS = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from .ranks import Ranks


class Stump(ClassifierMixin, BaseEstimator):
    def __init__(self, column=0, share=0.5, random_state=0):
        self.column = column
        self.share = share
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        values = np.asarray(X)[:, self.column]
        self.cut_ = float(np.quantile(values, self.share))
        parts = values <= self.cut_, values > self.cut_
        self.rates_ = Ranks([float(y[part].mean()) for part in parts])
        return self

    def predict_proba(self, X):
        high = np.asarray(X)[:, self.column] > self.cut_
        score = np.where(high, self.rates_.values[1], self.rates_.values[0])
        return np.column_stack([1 - score, score])
"""
RANKS = """
class Ranks:
    def __init__(self, values):
        self.values = values
"""
FORGETS = """
    def __getstate__(self):
        return {"values": [0.5, 0.5]}
"""
METRICS = """
import numpy as np


def profit(truth, score):
    chosen = score >= 0.5
    return np.mean(np.where(chosen, np.where(truth > 0.5, 3.0, -1.0), 0.0))
"""
UNFITTED = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Stump(ClassifierMixin, BaseEstimator):
    def __init__(self, column=0, share=0.5):
        self.column = column
        self.share = share

    def fit(self, X, y):
        self.classes = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)
"""
FILES = {"models.py": MODELS, "ranks.py": RANKS, "metrics.py": METRICS}


def own(files=None, task="classification", metric="own:metrics.profit", better=True, **candidate):
    """Return a use case with its own estimator and metric; `files` replace some of its modules."""
    candidates = [
        {"estimator": "logistic_regression" if task == "classification" else "ridge"},
        {"estimator": "own:models.Stump", "params": {"column": 0, "share": 0.5}, **candidate},
    ]
    train = {**TINY["train"], "metric": metric, "candidates": candidates}
    if metric.startswith("own:"):
        train["greater_is_better"] = better
    texts = {**FILES, **(files or {})}
    python = OwnPython("tiny", tuple(sorted(texts.items())))
    return tiny_use_case(task, train=train).with_python(python)


def problem(use_case):
    ((_, sentence),) = problems_of_own_code(use_case)
    return sentence


def models(before, after):
    assert before in MODELS
    return {"models.py": MODELS.replace(before, after)}


RESTLESS = models("float(np.quantile(values, self.share))", "next(CUTS)")
RESTLESS["models.py"] = RESTLESS["models.py"].replace(
    "\n\n\nclass", "\nfrom itertools import count\n\nCUTS = count(-1.0, 0.25)\n\n\nclass"
)  # each fit has another cut


def metrics(body, arguments="truth, score"):
    return {"metrics.py": f"import numpy as np\n\n\ndef profit({arguments}):\n    {body}\n"}


def test_own_code_that_is_right_passes():
    assert problems_of_own_code(own()) == []
    check_own_code(own())


def test_a_use_case_without_own_code_is_not_checked():
    assert problems_of_own_code(tiny_use_case()) == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (models("def predict_proba", "def predict_everything"), r"lacks \['predict_proba'\]"),
        (models("def fit(self, X, y):", "def fit(self, X, y):\n        raise ValueError('no')"),
         r"cannot be fitted: ValueError in tiny/models.py, line 15: no"),
        (RESTLESS,
         "other scores when it is fitted a second time"),
        (models("high = np.asarray(X)[:, self.column] > self.cut_",
                "high = np.asarray(X)[:, self.column] > np.asarray(X)[:, self.column].mean()"),
         "scores a row by the rows beside it"),
        (models("self.share = share", "self.share = share + 0.1"), "cannot be copied"),
        (models("([1 - score, score])", "([-score, 2 + score])"),
         "must give 0 to 1"),
        (models("self.cut_ = ", "import fractions; self.f = fractions.Fraction(1); self.cut_ = "),
         r"keeps objects of \['fractions.Fraction'\]"),
        ({"ranks.py": RANKS + FORGETS}, "other scores when it was stored and read"),
        (models("        return self\n", "        y.iloc[:] = 0\n        return self\n"),
         "changes the labels that it is given"),
        (models("def fit(self, X, y):", "def fit(self, X, y):\n        raise SystemExit(3)"),
         r"cannot be fitted: SystemExit in tiny/models.py, line 15: 3"),
        ({"models.py": UNFITTED}, "counts as not fitted after fit: .* ends with '_'"),
        ({"models.py": "class Other:\n    pass\n"}, "must be defined in models.py"),
        ({"models.py": "from fractions import Fraction as Stump\n"}, "must be defined in models"),
        ({"models.py": "1 / 0\n"}, "tiny/models.py, line 1: cannot be imported"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:30],
)  # fmt: skip
def test_an_estimator_that_breaks_a_rule_is_told_with_words(files, words):
    use_case = own(files)
    with pytest.raises(ConfigError, match=words):
        check_own_code(use_case)
    ((key, sentence),) = problems_of_own_code(use_case)
    assert key == "train.candidates.1.estimator"
    assert "own:models.Stump" in sentence


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return float(np.mean(score[np.arange(len(truth)), truth.astype(int)]))", None),
        (
            "return -float(np.mean(score[np.arange(len(truth)), truth.astype(int)]))",
            "greater_is_better: true",
        ),
        (
            "return float(np.mean(np.arange(len(truth)) * score[:, 2]))",
            "order|how many rows|chance",
        ),
    ],
)
def test_of_several_classes_scores_are_a_column_for_each(body, words):
    use_case = own(metrics(body))
    columns = {**TINY["labels"]["columns"], "outcome": "string"}
    text = {key: value for key, value in TINY["labels"].items() if key != "rule"}
    labels = {**text, "columns": columns, "classes": ["a", "b", "c"]}
    train = use_case.train.model_dump(mode="json", exclude_none=True)
    train["candidates"] = [{"estimator": "logistic_regression"}, {"estimator": "own:models.Many"}]
    many = (
        "from sklearn.linear_model import LogisticRegression\n\n\nclass Many(LogisticRegression):\n"
    )
    several = tiny_use_case(labels=labels, train=train)
    python = OwnPython(
        "tiny",
        (
            ("metrics.py", metrics(body)["metrics.py"]),
            ("models.py", f"{many}    def __init__(self, C=1.0):\n        super().__init__(C=C)\n"),
        ),
    )
    assert several.class_names == ["a", "b", "c"]
    found = problems_of_own_code(several.with_python(python))
    if words is None:
        assert found == []
    else:
        ((key, sentence),) = found
        assert key == "train.metric"
        assert re.search(words, sentence)


def test_a_metric_that_ends_the_process_is_told_with_words():
    sentence = problem(own(metrics("raise SystemExit(1)")))
    assert sentence.startswith("tiny/metrics.py, line 5: own:metrics.profit failed on 200 rows")


def test_weights_that_it_says_to_take_are_tried():
    sentence = problem(own(takes_weights=True))
    assert "own:models.Stump takes no weights: TypeError" in sentence
    assert "'sample_weight'" in sentence
    takes = models("def fit(self, X, y):", "def fit(self, X, y, sample_weight=None):")
    assert problems_of_own_code(own(takes, takes_weights=True)) == []


def test_parameters_that_its_init_does_not_know_are_told():
    assert "cannot be made with {'colunm': 1}" in problem(own(params={"colunm": 1}))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 'much'", "must return one number, got str"),
        ("return truth", "must return one number, got ndarray"),
        ("return True", "must return one number, got bool"),
        ("return float('nan')", "is not defined on 200 rows"),
        ("return float(np.sum(truth * score))", "depends on how many rows there are"),
        ("return float(np.mean(truth * score * np.linspace(0, 1, len(truth))))",
         "depends on the order of the rows"),
        ("return float(np.mean(np.abs(truth - score)))", "Flip train.greater_is_better"),
        ("return 1 / 0", r"tiny/metrics.py, line 5: .*ZeroDivisionError"),
        ("truth.sort(); return 1.0", "failed on 200 rows, got ValueError"),
        ("return float(np.mean(truth * score)) if len(truth) > 195 else float('nan')",
         "cannot be resampled for the gate"),
        ("return float(np.mean(truth * score)) + np.random.default_rng().random()",
         "another value the second time"),
    ],
)  # fmt: skip
def test_a_metric_that_breaks_a_rule_is_told_with_words(body, words):
    with pytest.raises(ConfigError, match=words):
        check_own_code(own(metrics(body)))
    assert [key for key, _ in problems_of_own_code(own(metrics(body)))] == ["train.metric"]


def test_a_metric_with_a_weight_counts_a_row_of_weight_2_as_two_rows():
    mean = "return float(np.average(truth * score, weights={}))"
    right = own(metrics(mean.format("weight"), "truth, score, weight"))
    assert problems_of_own_code(right) == []
    truth, score, weight = np.array([1.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 3.0])
    assert metric_of(right).compute(truth, score, weight) == 0.75
    wrong = metrics(mean.format("None"), "truth, score, weight")
    assert "does not count as two rows" in problem(own(wrong))


def test_a_metric_without_a_weight_refuses_weights_with_words():
    metric = metric_of(own())
    with pytest.raises(ConfigError, match="must take an argument 'weight'"):
        metric.compute(np.ones(2), np.ones(2), np.array([1.0, 2.0]))


def test_an_own_metric_is_estimated_and_compared_as_any_other():
    """A mean over rows has a closed form: its jackknife is the error of block means."""
    use_case, rng = own(), np.random.default_rng(0)
    truth, score = rng.integers(0, 2, 400) * 1.0, rng.random(400)
    blocks = np.arange(400) // 20
    metric = metric_of(use_case)
    each = np.where(score >= 0.5, np.where(truth > 0.5, 3.0, -1.0), 0.0)
    means = each.reshape(20, 20).mean(axis=1)
    found = estimate(metric, truth, score, blocks)
    assert found.value == pytest.approx(each.mean())
    assert found.standard_error == pytest.approx(means.std(ddof=1) / np.sqrt(20))
    gain = estimate_gain(metric, truth, truth, score, blocks)
    assert gain.value == pytest.approx(3 * truth.mean() - each.mean())


def test_it_stands_beside_the_metrics_of_the_task():
    use_case, rows = own(), tiny_rows()
    X, y = rows[use_case.features.columns], rows["outcome"].astype("int64")
    model = estimators.linear(use_case).fit(X, y)
    values = evaluate(use_case, model, X, y)
    assert {"roc_auc", "own:metrics.profit"} <= set(values)
    hit = score_rows(model, X, use_case) >= 0.5
    assert values["own:metrics.profit"] == pytest.approx(np.mean(hit * np.where(y == 1, 3, -1)))


@pytest.fixture
def package(tmp_path):
    use_case = own()
    return make_package(
        tmp_path, use_case=use_case, estimator="own:models.Stump", python=use_case.python
    )


def test_a_signed_package_of_an_own_estimator_is_read_and_answers(package):
    model = package.load()
    assert score_rows(model.estimator, model.reference, model.use_case) == pytest.approx(
        model.reference["prediction"].to_numpy()
    )
    assert model.reference["prediction"].nunique() == 2
    assert metric_of(model.use_case).name == "own:metrics.profit"
    signed = json.loads((package.folder / manifest.MANIFEST).read_text())
    assert signed["own_types"] == ["models.Stump", "ranks.Ranks"]


def test_only_a_model_of_an_own_estimator_trusts_own_classes(tmp_path):
    use_case = own()
    linear = make_package(
        tmp_path, use_case=use_case, estimator="logistic_regression", python=use_case.python
    )
    assert json.loads((linear.folder / manifest.MANIFEST).read_text())["own_types"] == []


def test_a_manifest_that_was_changed_is_refused(package):
    file = package.folder / manifest.MANIFEST
    content = json.loads(file.read_text())
    content["own_types"] = ["models.Stump", "ranks.Ranks", "metrics.profit"]
    file.write_text(json.dumps(content, indent=1, sort_keys=True))
    with pytest.raises(DataContractError, match=r"must sign manifest\.json"):
        package.load()


@pytest.mark.parametrize(
    "name", ["os.system", "models.np", "models.BaseEstimator", "absent.Stump", "models"]
)
def test_a_class_from_elsewhere_is_refused_though_it_is_signed(package, name):
    """Whoever may sign could not make a package that trusts what is not in its own Python."""
    seal_again(package, own_types=[name])
    with pytest.raises(DataContractError, match=r"must be classes of the package's own Python"):
        package.load()


def test_a_model_whose_classes_the_manifest_does_not_name_is_refused(package):
    seal_again(package, own_types=["ranks.Ranks"])
    with pytest.raises(
        DataContractError, match=r"names of the use case's own Python, got: .*Stump"
    ):
        package.load()


def test_a_class_of_another_version_is_refused(package, tmp_path):
    """Its name holds the digest of its source, so a model file cannot reach another version's."""
    other_python = own({"ranks.py": RANKS + "\nOTHER = 1\n"})
    other = make_package(
        tmp_path / "other",
        use_case=other_python,
        estimator="own:models.Stump",
        python=other_python.python,
    )
    other.load()  # its classes are imported in this process now
    (package.folder / "model.skops").write_bytes((other.folder / "model.skops").read_bytes())
    seal_again(package, own_types=["models.Stump", "ranks.Ranks"])
    with pytest.raises(DataContractError, match="may hold only the types"):
        package.load()


def seal_again(package, **about):
    (package.folder / manifest.MANIFEST).unlink()
    (package.folder / manifest.SIGNATURE).unlink()
    manifest.seal(package.folder, package.signing_key, use_case="tiny", run_id="run-1", **about)
    with pytest.raises(DataContractError):
        load_package(package.folder, package.verify_key)
