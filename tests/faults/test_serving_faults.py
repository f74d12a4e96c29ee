"""What serving accepted, hid or died of, a row per fault."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from include.errors import ConfigError
from include.modelling.references import index_reference
from include.registry.request_rules import rules_of
from include.serving.protocol import parse
from include.serving.ranges import OutOfRange, out_of_range
from include.serving.rejected import Rejected
from include.use_cases import loader
from include.use_cases.schema import Reference
from tests.support.packages import TINY, make_package, tiny_rows, tiny_use_case
from tests.support.serving import served, until

JSON, CSV = "application/json", "text/csv"
INVOKE = "/tiny/invocations"
ROW = {"at": "2024-02-01T00:00:00Z", "x": 0.5, "z": -0.5, "colour": "red"}
FEATURES = {**TINY["features"], "inputs": ["at", "x", "z", "colour"]}
CLEAN = {"noise": {"x": [-100, 100]}}


def package(where, request_rows=None, **changes: Any):
    """Make a model whose requests carry a time, and whose `x` lies between -100 and 100."""
    use_case = tiny_use_case(**{"features": FEATURES, "clean": CLEAN, **changes})
    return make_package(where, use_case=use_case, example=ROW, request_rows=request_rows).load()


def training_rows():
    """Give 400 rows with x from -2 to 2, z missing once and else from 0 to 1, colours only."""
    x, z = np.linspace(-2, 2, 400), np.linspace(0, 1, 400)
    z[7] = np.nan
    return tiny_rows().assign(x=x, z=z)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return package(tmp_path_factory.mktemp("learned"), training_rows())


@pytest.fixture
def client(learned, tmp_path, monkeypatch):
    with served(learned, tmp_path, monkeypatch) as running:
        yield running


def ask(client: TestClient, content: Any, kind: str = JSON):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(INVOKE, content=body, headers={"Content-Type": kind})


def counted(client: TestClient, name: str) -> list[str]:
    lines = client.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith(f"flywheel_serving_{name}_total{{")]


def instances(**changes: Any) -> dict[str, Any]:
    return {"instances": [{**ROW, **changes}]}


def text(row: str, before: str = "", after: str = "") -> bytes:
    return f'{{{before}"instances": [{{{row}}}]{after}}}'.encode()


PLAIN = '"at": "2024-02-01T00:00:00Z", "x": 1, "z": 1, "colour": "red"'
TWICE = "The body must name each key of an object once."
EXACT = "between -2**53 and 2**53, which float64 holds exactly, got a number."


# Bodies that were answered with 200


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        pytest.param(
            instances(x=9.2e18), JSON,
            "Row 0, column 'x': must be between -100 and 100, the physically possible range, got "
            "9.2e+18.",
            id="a temperature of 9.2e18",
        ),
        pytest.param(
            {"instances": [ROW, {**ROW, "x": -100.5}]}, JSON,
            "Row 1, column 'x': must be between -100 and 100, the physically possible range, got "
            "-100.5.",
            id="impossible in the second row",
        ),
        pytest.param(
            b"at,x,z,colour\n2024-02-01T00:00:00Z,101,0,red\n", CSV,
            "Row 0, column 'x': must be between -100 and 100, the physically possible range, got "
            "101.0.",
            id="impossible in CSV",
        ),
        pytest.param(
            instances(colour=""), JSON,
            "Row 0, column 'colour': must not be empty or blank text.",
            id="empty text",
        ),
        pytest.param(
            instances(colour=" \t\u00a0"), JSON,
            "Row 0, column 'colour': must not be empty or blank text.",
            id="blank text",
        ),
        pytest.param(
            b"at,x,z,colour\n2024-02-01T00:00:00Z,1,0,  \n", CSV,
            "Row 0, column 'colour': must not be empty or blank text.",
            id="blank text in CSV",
        ),
        pytest.param(
            instances(at=None), JSON, "Row 0, column 'at': must not be missing.", id="null time"
        ),
        pytest.param(
            instances(id=None), JSON, "Row 0, column 'id': must not be missing.", id="null key"
        ),
        pytest.param(
            instances(x=None), JSON, "Row 0, column 'x': must not be missing.",
            id="null where training saw none",
        ),
        pytest.param(
            b"at,x,z,colour\n2024-02-01T00:00:00Z,,0,red\n", CSV,
            "Row 0, column 'x': must not be missing.",
            id="nothing between the commas where training saw no null",
        ),
        pytest.param(text(PLAIN, before='"instances": [], '), JSON, TWICE, id="format named twice"),
        pytest.param(text(PLAIN + ', "x": 2'), JSON, TWICE, id="column named twice"),
        pytest.param(text(PLAIN + ', "\\u0078": 1'), JSON, TWICE, id="the same key, escaped"),
        pytest.param(text(PLAIN, after=', "params": {}, "params": {}'), JSON, TWICE,
                     id="params named twice"),
        pytest.param(
            b'{"inputs": {"at": ["2024-02-01T00:00:00Z"], "x": [1], "x": [2], "z": [1],'
            b' "colour": ["red"]}}',
            JSON, TWICE, id="column of inputs named twice",
        ),
        pytest.param(
            b'{"dataframe_split": {"columns": ["at", "x", "z", "colour"], "data": [], "data":'
            b' [["2024-02-01T00:00:00Z", 1, 1, "red"]]}}',
            JSON, TWICE, id="data named twice",
        ),
        pytest.param(instances(z=2**53 + 1), JSON, EXACT, id="a whole number that float64 rounds"),
        pytest.param(
            b"at,x,z,colour\n2024-02-01T00:00:00Z,1,-9007199254740993,red\n", CSV, EXACT,
            id="a whole number that float64 rounds, in CSV",
        ),
        pytest.param(
            instances(id=2.0**60), JSON, "'id': must be a whole number of 64 bits, got a number.",
            id="a float for an integer, beyond what floats count one by one",
        ),
        pytest.param(
            instances(colour="re\0d"), JSON, "'colour': must be valid text, got text.",
            id="NUL in text",
        ),
        pytest.param(
            b"at,x,z,colour\n2024-02-01T00:00:00Z,1,0,re\0d\n", CSV,
            "'colour': must be valid text, got text.",
            id="NUL in CSV",
        ),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_meant_is_refused(client, content, kind, message):
    reply = ask(client, content, kind)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error_code"] == "BAD_REQUEST"
    assert reply.json()["message"].endswith(message)


def test_a_refusal_by_range_is_counted_by_column(client):
    ask(client, instances(x=1e9))
    ask(client, {"instances": [{**ROW, "x": 1e9}, {**ROW, "x": 1e9}]})
    ask(client, instances(x=None))
    expected = 'out_of_range_total{column="x",outcome="refused",use_case="tiny"} 2.0'
    assert counted(client, "out_of_range") == [f"flywheel_serving_{expected}"]


# Bodies that are answered, and flagged


@pytest.mark.parametrize(
    ("rows", "flagged"),
    [
        pytest.param([{}], {}, id="as seen"),
        pytest.param([{"x": -2}, {"x": 2.0}, {"z": 0}, {"z": 1}], {}, id="at the edges"),
        pytest.param([{"x": 2.001}], {"x": [0]}, id="above what training saw"),
        pytest.param([{}, {"x": -99.0}, {"x": 3, "z": 9}], {"x": [1, 2], "z": [2]}, id="several"),
        pytest.param([{"z": None}], {}, id="null where training saw one"),
        pytest.param([{"at": "2031-01-01T00:00:00Z"}], {}, id="requests are later than training"),
        pytest.param([{"id": 10**12}], {}, id="a key has no range"),
    ],
)
def test_a_value_that_training_never_saw_is_answered_and_flagged(client, rows, flagged):
    full = [{**ROW, "z": 0.5, **row} for row in rows]
    full = [{**row, "id": row.get("id", number)} for number, row in enumerate(full)]
    reply = ask(client, {"instances": full})
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["predictions"]) == len(rows)
    assert reply.json().get("out_of_range", {}) == flagged
    assert ("out_of_range" in reply.json()) is bool(flagged)
    expected = [
        f'flywheel_serving_out_of_range_total{{column="{column}",outcome="flagged",'
        f'use_case="tiny"}} {len(at)}.0'
        for column, at in sorted(flagged.items())
    ]
    assert counted(client, "out_of_range") == expected


SIZES = {
    "landing": "sizes/*.csv",
    "key": ["colour"],
    "columns": {"colour": "string", "size": "float64"},
}
JOINED = {**FEATURES, "references": ["sizes"]}
KNOWN = index_reference(
    pd.DataFrame({"colour": ["red", "green"], "size": [1.0, 2.0]}),
    Reference.model_validate(SIZES),
    "",
)


@pytest.fixture
def joining(tmp_path, monkeypatch):
    """Start servers of a model that knows three colours, whose reference knows red and green."""
    monkeypatch.setattr(
        "include.serving.references.ReferenceTables.load",
        lambda self, use_case, versions: {"sizes": KNOWN},
    )
    monkeypatch.setattr("include.serving.references.ReferenceTables.versions", lambda *_: {})

    def start(runtime: str, **serve: str):
        ingest = {**TINY["ingest"], "references": {"sizes": SIZES}}
        model = package(tmp_path, training_rows(), features=JOINED, ingest=ingest, serve=serve)
        if runtime == "scikit-learn":
            model = replace(model, onnx=None)
        return served(model, tmp_path, monkeypatch)

    return start


@pytest.mark.parametrize("runtime", ["onnx", "scikit-learn"])
def test_an_unknown_category_and_a_failed_join_are_flagged_and_counted(joining, runtime):
    rows = [{**ROW, "z": 0.5, "colour": colour} for colour in ("red", "mauve", "blue", "mauve")]
    with joining(runtime) as client:
        plain = ask(client, {"instances": rows[:1]}).json()
        reply = ask(client, {"instances": rows}).json()
        lines = counted(client, "unknown_categories") + counted(client, "failed_joins")
    assert set(plain) == {"predictions", "scores"}
    assert reply["predictions"][:1] == plain["predictions"]
    assert reply["unknown_categories"] == {"colour": [1, 3]}
    assert reply["failed_joins"] == {"sizes": [1, 2, 3]}
    assert lines == [
        'flywheel_serving_unknown_categories_total{feature="colour",outcome="flagged",'
        'use_case="tiny"} 2.0',
        'flywheel_serving_failed_joins_total{outcome="flagged",reference="sizes",'
        'use_case="tiny"} 3.0',
    ]


@pytest.mark.parametrize(
    ("serve", "colour", "message", "counter"),
    [
        pytest.param(
            {"unknown_category": "refuse"}, "mauve",
            "Row 1: no training row had this category of feature 'colour'.",
            'unknown_categories_total{feature="colour",outcome="refused",use_case="tiny"} 1.0',
            id="unknown category",
        ),
        pytest.param(
            {"failed_join": "refuse"}, "blue", "Row 1: reference 'sizes' has no row for it.",
            'failed_joins_total{outcome="refused",reference="sizes",use_case="tiny"} 1.0',
            id="failed join",
        ),
    ],
)  # fmt: skip
def test_both_are_refused_where_that_is_declared(joining, serve, colour, message, counter):
    with joining("onnx", **serve) as client:
        reply = ask(client, {"instances": [ROW, {**ROW, "colour": colour}]})
        assert ask(client, {"instances": [ROW]}).status_code == 200
        assert counted(client, counter.split("_total")[0]) == [f"flywheel_serving_{counter}"]
    assert (reply.status_code, reply.json()["message"]) == (400, message)
    assert colour not in reply.text


def test_with_flag_an_impossible_value_counts_as_missing(tmp_path, monkeypatch):
    model = package(
        tmp_path, serve={"out_of_range": "flag"}, clean={**CLEAN, "missing": {"x": 0.25}}
    )
    with served(model, tmp_path, monkeypatch) as client:
        impossible, missing = (ask(client, instances(x=value)).json() for value in (1e9, None))
    assert impossible.pop("out_of_range") == {"x": [0]}
    assert impossible == missing


def test_with_flag_a_value_may_not_become_missing_where_none_may_be(tmp_path, monkeypatch):
    model = package(tmp_path, training_rows(), serve={"out_of_range": "flag"})
    with served(model, tmp_path, monkeypatch) as client:
        reply = ask(client, instances(x=1e9))
    assert reply.status_code == 400
    assert "column 'x': must be between -100 and 100" in reply.json()["message"]


def test_a_package_without_training_rows_has_its_declared_rules_only(tmp_path, monkeypatch):
    with served(package(tmp_path), tmp_path, monkeypatch) as client:
        accepted = [{"x": 99.0}, {"x": None}, {"colour": None}, {"colour": ""}]
        replies = [ask(client, instances(**changes)) for changes in accepted]
        refused = [ask(client, instances(**changes)) for changes in ({"x": 101}, {"at": None})]
    assert [(reply.status_code, "out_of_range" in reply.json()) for reply in replies] == [
        (200, False)
    ] * 4
    assert [reply.status_code for reply in refused] == [400, 400]


@pytest.mark.parametrize(
    ("name", "row", "word"),
    [
        ("weather_regimes", {"temp": 9.2e18}, "column 'temp': must be between -129 and 135"),
        ("flight_delays", {"minute": 60}, "column 'minute': must be between 0 and 59"),
        ("air_time", {"distance": -1}, "column 'distance': must be between 1 and 12451"),
    ],
)
def test_the_shipped_use_cases_refuse_the_impossible(name, row, word):
    use_case = loader.load(loader.ROOT / name)
    columns = {column: use_case.ingest.columns[column] for column in use_case.features.inputs}
    with pytest.raises(OutOfRange) as refused:
        out_of_range({c: [v] for c, v in row.items()}, rules_of(use_case, columns, {}))
    assert word in refused.value.message


DIVIDES = "def derive(frame):\n    return frame.assign(z=frame['x'] / frame['z'])\n"
SQUARES = "def derive(frame):\n    return frame.assign(z=(frame['z'] * 1e10) ** 2)\n"


@pytest.mark.parametrize(
    ("python", "z"), [pytest.param(DIVIDES, 0, id="1/0"), pytest.param(SQUARES, 1e25, id="1e70")]
)
def test_values_that_make_an_infinite_feature_are_the_clients_mistake(
    tmp_path, monkeypatch, python, z
):
    with served(package(tmp_path), tmp_path, monkeypatch, python) as client:
        reply = ask(client, {"instances": [ROW, {**ROW, "z": z}]})
    assert reply.status_code == 400, reply.text
    assert reply.json()["message"] == (
        "Row 1: feature 'z' is infinite or too large for these values. Check the row's numbers."
    )


@pytest.mark.parametrize("letter", ["c", "é", "\U0001f600"])
def test_an_error_of_a_use_case_with_hundreds_of_columns_stays_short(letter):
    columns = {f"{letter * 40}{number}": "float64" for number in range(300)}
    with pytest.raises(Rejected) as refused:
        parse(b'{"instances": [{"no": 1}]}', JSON, tiny_use_case(), columns)
    assert len(refused.value.body()) <= 2_000
    message = json.loads(refused.value.body())["message"]
    assert message.startswith("Column 'no' is unknown. The columns are ['")
    assert message.endswith(" ...")


# What /health did not say


@pytest.mark.parametrize(
    ("python", "said"),
    [
        pytest.param(
            "def derive(frame):\n    return frame\n\nimport nothing_of_the_kind\n",
            "tiny/features.py, line 4: cannot be imported, got ModuleNotFoundError: No module "
            "named 'nothing_of_the_kind'",
            id="import",
        ),
        pytest.param(
            "def derive(frame)\n    return frame\n",
            "tiny/features.py, line 1: cannot be imported, got SyntaxError: expected ':'",
            id="syntax",
        ),
        pytest.param(
            "def derive(frame):\n    return frame.assign(y=frame['secret'])\n",
            "tiny/features.py, line 2: KeyError, see the log",
            id="code",
        ),
        pytest.param(
            "def derive(frame):\n    return frame[:0]\n",
            "tiny: derive() in features.py must return a DataFrame with the rows it was given",
            id="contract",
        ),
        pytest.param(
            "raise SystemExit\n",
            "tiny/features.py: must define functions only, but ends the process",
            id="exit",
        ),
    ],
)  # fmt: skip
def test_health_says_why_the_python_of_a_package_fails(
    tmp_path, monkeypatch, learned, python, said
):
    with served(learned, tmp_path, monkeypatch, python) as client:
        state = client.get("/tiny/health")
        (problem,) = state.json()["problems"]
        assert (state.status_code, state.json()["ready"]) == (503, False)
        assert ask(client, instances()).status_code == 503
    assert problem.startswith("Version 1 does not load: " + said)


@pytest.mark.parametrize(
    "edit",
    [
        "def derive(frame):\n    return frame.assign(x=99.0)\n",
        "import nothing_of_the_kind\n",
        "def derive(frame)\n",
        "raise SystemExit\n",
    ],
)
def test_an_edit_of_the_working_tree_changes_no_answer(tmp_path, monkeypatch, learned, edit):
    package = "def derive(frame):\n    return frame.assign(z=frame['x'] * 2)\n"
    path = tmp_path / "use_cases" / "tiny" / "features.py"
    with served(learned, tmp_path, monkeypatch, package) as client:
        before = ask(client, instances(x=0.25))
        path.write_text(edit)
        time.sleep(0.1)  # five looks
        after = ask(client, instances(x=0.25))
        health = client.get("/tiny/health").json()
    assert (before.status_code, after.status_code) == (200, 200)
    assert after.content == before.content
    assert (health["ready"], health["problems"]) == (True, [])
    rows = tiny_rows(1).assign(x=0.25, z=0.5, colour="red")
    expected = learned.predict_features(rows)["score"].item()
    assert after.json()["scores"] == [expected]


def test_a_use_case_whose_folder_is_removed_is_no_longer_served(tmp_path, monkeypatch, learned):
    with served(learned, tmp_path, monkeypatch) as client:
        assert ask(client, instances(x=2.5)).status_code == 200
        assert ask(client, {}).status_code == 400
        assert 'use_case="tiny"' in client.get("/metrics").text
        shutil.rmtree(tmp_path / "use_cases" / "tiny")
        until(lambda: client.get("/tiny/ping").status_code == 404)
        assert ask(client, instances()).status_code == 404
        assert client.get("/health").json()["use_cases"] == {}
        assert "tiny" not in client.get("/metrics").text
        (tmp_path / "use_cases" / "tiny").mkdir()
        (tmp_path / "use_cases" / "tiny" / "use_case.yaml").touch()
        until(lambda: client.get("/tiny/ping").status_code == 200)


def test_without_the_folder_of_all_use_cases_everything_is_kept(tmp_path, monkeypatch, learned):
    with served(learned, tmp_path, monkeypatch) as client:
        (tmp_path / "use_cases").rename(tmp_path / "away")
        (problem,) = until(lambda: client.get("/health").json()["problems"])
        assert f"{tmp_path}/use_cases: the folder of use cases must exist" in problem
        assert client.get("/health").json()["status"] == "degraded"
        assert ask(client, instances()).status_code == 200
        (tmp_path / "away").rename(tmp_path / "use_cases")
        until(lambda: client.get("/health").json()["problems"] == [])


# What a use case's Python may say when it is loaded


@pytest.fixture
def churn(churn_root):
    return churn_root / "churn"


@pytest.fixture
def churn_root(tmp_path, monkeypatch):
    """Make a root with one good use case, `churn`, a copy of `weather_regimes`."""
    (tmp_path / "churn").mkdir()
    for name in ("use_case.yaml", "expectations.yaml"):
        shutil.copy(loader.ROOT / "weather_regimes" / name, tmp_path / "churn" / name)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("python", "said"),
    [
        pytest.param(
            "def derive(frame)\n", "line 1: expected ':'. Correct the syntax.", id="colon"
        ),
        pytest.param("x = 1\nreturn x\n", "line 2: 'return' outside function.", id="return"),
        pytest.param("x = 'a\0b'\n", "cannot contain null bytes", id="NUL"),
        pytest.param(b"x = '\xff'\n", "Make it a UTF-8 file.", id="not UTF-8"),
        pytest.param(
            "import os\nimport sklaern.linear_model as lm\n",
            "line 2: imports 'sklaern'; it may import the standard library, numpy, pandas, scipy, "
            "sklearn, and modules of its own folder",
            id="misspelt package",
        ),
        pytest.param(
            "def derive(frame):\n    from nowhere import f\n    return f(frame)\n",
            "line 2: imports 'nowhere'; it may import",
            id="import within derive",
        ),
        pytest.param(
            "from . import helper\n", "line 1: imports '.helper', but the modules", id="relative"
        ),
    ],
)
def test_python_that_cannot_run_is_an_error_of_configuration(churn, python, said):
    content = python if isinstance(python, bytes) else python.encode()
    (churn / "features.py").write_bytes(content)
    loaded = loader.load_all()
    assert loaded.use_cases == {}
    assert f"{churn}/features.py, line " in str(loaded.broken["churn"])
    assert said in str(loaded.broken["churn"])
    with pytest.raises(ConfigError, match=r"features\.py, line"):
        loader.get("churn")


@pytest.mark.parametrize(
    "python",
    [
        "import numpy as np\nimport pandas as pd\nfrom sklearn.cluster import KMeans\n",
        "try:\n    import faster_json\nexcept ImportError:\n    import json\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import only_for_mypy\n",
        "raise SystemExit('it must not be run')\n",
        "x = '\\d'\n",
    ],
)
def test_python_that_may_run_is_accepted(churn, python, recwarn):
    (churn / "features.py").write_text(python)
    assert loader.get("churn").name == "churn"
    assert [str(warning.message) for warning in recwarn] == []


def test_airflow_shows_python_that_cannot_run_as_an_import_error(churn):
    from airflow.dag_processing.dagbag import DagBag

    (churn / "features.py").write_text("import sklaern\n")
    bag = DagBag(str(loader.ROOT.parents[1] / "dags"))
    (message,) = bag.import_errors.values()
    assert f"{churn}/features.py, line 1: imports 'sklaern'; it may import" in message
    assert bag.dags == {}


def test_checking_the_python_imports_nothing_heavy(churn_root, churn):
    (churn / "features.py").write_text("import pandas, sklearn\nfrom scipy import stats\n")
    heavy = ("pandas", "scipy", "sklearn", "mlflow", "great_expectations", "airflow")
    code = (
        "import sys; from include.use_cases import loader; print(loader.get('churn').name, "
        f"[name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=loader.ROOT.parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "churn []"
