from __future__ import annotations

import dataclasses
import gc
import json
import logging
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.lake.frames import arrow_schema
from include.lake.table import Lake, Writer
from include.serving import references as references_module
from include.serving import slot as slot_module
from include.serving.models import Models
from tests.support.packages import tiny_use_case

Make = Callable[..., Models]


@pytest.fixture
def make(registry: Any, lake: Lake, tmp_path: Path) -> Make:
    def models(names: tuple[str, ...] = ("tiny",)) -> Models:
        return Models(lambda: list(names), registry, lake, tmp_path / "champions.json")

    return models


def version(models: Models) -> str | None:
    live = models.live("tiny")
    return live.model.version if live else None


def problems(models: Models) -> list[str]:
    return list(models.state("tiny")["problems"])


def test_a_look_follows_the_champion(make: Make, registry: Any, tiny_model: Any) -> None:
    models = make()
    models.look()
    assert version(models) == "1"
    registry.promote(tiny_model, "2")
    models.look()
    models.look()
    assert version(models) == "2"
    assert registry.loads == ["1", "2"], "what serves is not loaded again"
    registry.champions["tiny"] = "1"  # a rollback
    models.look()
    assert version(models) == "1"


def test_a_request_keeps_the_model_it_began_with(
    make: Make, registry: Any, tiny_model: Any
) -> None:
    models = make()
    models.look()
    before = models.live("tiny")
    registry.promote(tiny_model, "2")
    models.look()
    assert before is not None
    assert before.model.version == "1"
    assert models.live("tiny") is not before


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            DataContractError("model.skops was altered."),
            "Version 2 does not load: model.skops was altered.",
        ),
        (RuntimeError("a secret"), "Version 2 does not load: RuntimeError, see the log"),
    ],
)
def test_a_version_that_fails_leaves_the_old_one(
    make: Make,
    registry: Any,
    tiny_model: Any,
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(slot_module.time, "monotonic", lambda: now_s[0])
    models = make()
    models.look()
    registry.promote(tiny_model, "2")
    good = registry.models["tiny", "2"]
    registry.models["tiny", "2"] = error
    with caplog.at_level(logging.WARNING):
        models.look()
    assert (version(models), problems(models)) == ("1", [said])
    assert "tiny: version 2 fails, next try in 5.0 s" in caplog.text
    registry.models["tiny", "2"] = good
    models.look()
    assert registry.loads == ["1", "2"], "not tried again at once"
    now_s[0] += 5.0
    models.look()
    assert (version(models), problems(models)) == ("2", [])


def test_tries_become_rarer(make: Make, registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(slot_module.time, "monotonic", lambda: now_s[0])
    registry.models["tiny", "1"] = ServiceUnavailable("away")
    models = make()
    tries = []
    for second in range(1300):
        now_s[0] = float(second)
        before = len(registry.loads)
        models.look()
        if len(registry.loads) > before:
            tries.append(second)
    # 5 s doubles to 160 s, then 300 s is the longest.
    assert tries == [0, 5, 15, 35, 75, 155, 315, 615, 915, 1215]


def test_a_model_that_cannot_answer_its_example_does_not_serve(
    make: Make, registry: Any, tiny_model: Any
) -> None:
    models = make()
    models.look()
    registry.promote(dataclasses.replace(tiny_model, example={"x": 1.0}), "2")
    models.look()
    assert version(models) == "1"
    assert problems(models) == ["Version 2 does not load: Rejected, see the log"]


def test_a_model_of_another_use_case_does_not_serve(
    make: Make, registry: Any, tiny_model: Any
) -> None:
    registry.models["other", "9"] = tiny_model
    registry.champions["other"] = "9"
    models = make(("other",))
    models.look()
    assert models.live("other") is None
    (said,) = models.state("other")["problems"]
    assert "must be a model of that use case, got one of tiny" in said


def test_one_use_case_in_trouble_leaves_the_others(make: Make, registry: Any) -> None:
    registry.models["bad", "1"] = ValueError()
    registry.champions["bad"] = "1"
    models = make(("bad", "tiny"))
    models.look()
    assert models.live("bad") is None
    assert version(models) == "1"
    assert models.names == ["bad", "tiny"]


def test_a_registry_that_is_away_changes_nothing(
    make: Make, registry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    models = make()
    models.look()
    registry.down = True
    with caplog.at_level(logging.WARNING):
        models.look()
        models.look()
    assert version(models) == "1"
    assert problems(models)[0].startswith("The promoted version cannot be read: MLflow at http://")
    assert caplog.text.count("The promoted version cannot be read") == 1, "logged when it begins"
    registry.down = False
    models.look()
    assert problems(models) == []


def test_an_alias_taken_away_does_not_stop_the_model(make: Make, registry: Any) -> None:
    models = make()
    models.look()
    registry.champions.clear()
    models.look()
    assert version(models) == "1"
    assert problems(models) == ["No version is promoted any more; the last champion keeps serving."]


def test_a_start_without_the_registry_serves_what_served_last(
    make: Make, registry: Any, tiny_model: Any
) -> None:
    registry.promote(tiny_model, "2")
    make().look()
    registry.promote(tiny_model, "3")
    registry.down = True
    models = make()
    models.look()
    assert version(models) == "2"
    registry.down = False
    models.look()
    assert version(models) == "3"


def test_a_first_start_without_the_registry(make: Make, registry: Any, tmp_path: Path) -> None:
    registry.down = True
    (tmp_path / "champions.json").write_text("{half")
    models = make(("other", "tiny"))
    models.look()
    assert version(models) is None
    assert registry.loads == []


def test_the_use_cases_are_looked_for_at_each_look(
    registry: Any, lake: Lake, tmp_path: Path
) -> None:
    names = ["other"]
    models = Models(lambda: names, registry, lake, tmp_path / "champions.json")
    models.look()
    assert not models.knows("tiny")
    names.append("tiny")
    models.look()
    assert version(models) == "1"


def test_a_use_case_that_is_gone_is_dropped(registry: Any, lake: Lake, tmp_path: Path) -> None:
    names = ["other", "tiny"]
    models = Models(lambda: names, registry, lake, tmp_path / "champions.json")
    models.look()
    names.remove("tiny")
    models.look()
    assert models.names == ["other"]
    assert not models.knows("tiny")
    # What a request may still ask, if it began before.
    assert models.live("tiny") is None
    assert models.state("tiny")["ready"] is False
    names.append("tiny")
    models.look()
    assert version(models) == "1"
    assert registry.loads == ["1", "1"], "what comes back is verified again"


def test_names_that_cannot_be_had_are_a_problem_and_change_nothing(
    registry: Any, lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []

    def names() -> list[str]:
        if errors:
            raise errors[0]
        return ["tiny"]

    models = Models(names, registry, lake, tmp_path / "champions.json", poll_s=60)
    models.start()
    errors.append(ConfigError("The folder is away."))
    for _ in range(2):
        models._look_or_log()
    assert models.problems == ["Looking for champions fails: The folder is away."]
    assert caplog.text.count("Looking for champions fails") == 1, "logged when it begins"
    assert version(models) == "1"
    errors[0] = OSError("secret")
    models._look_or_log()
    assert models.problems == ["Looking for champions fails: OSError"]
    errors.clear()
    models._look_or_log()
    assert models.problems == []
    models.stop()


def test_the_watcher_outlives_a_look_that_fails(
    registry: Any, lake: Lake, tmp_path: Path, tiny_model: Any
) -> None:
    failing = [False]

    def names() -> list[str]:
        if failing[0]:
            failing[0] = False
            raise OSError("folder away")
        return ["tiny"]

    models = Models(names, registry, lake, tmp_path / "champions.json", poll_s=0.01)
    models.start()
    failing[0] = True
    registry.promote(tiny_model, "2")
    import time

    deadline = time.monotonic() + 5
    while version(models) != "2" and time.monotonic() < deadline:
        time.sleep(0.01)
    models.stop()
    assert (version(models), failing) == ("2", [False])


SIZES = {"colour": "string", "size": "float64"}
WITH_REFERENCE = {
    "ingest": {
        "landing": "tiny/{partition}/*.csv",
        "partition": {"column": "at", "grain": "month"},
        "key": ["id"],
        "columns": {"id": "int64", "at": "timestamp", "x": "float64", "colour": "string"},
        "references": {"sizes": {"landing": "sizes/*.csv", "key": ["colour"], "columns": SIZES}},
    },
    "features": {"inputs": ["x", "colour"], "numeric": ["x", "size"], "references": ["sizes"]},
}


class SizeItself:
    """Predicts the reference's column, so that a test sees which table was joined."""

    def predict(self, X: pd.DataFrame) -> Any:
        """Return the column."""
        return X["size"].to_numpy()


@pytest.fixture
def sized_model(tiny_model: Any) -> Any:
    use_case = tiny_use_case("regression", **WITH_REFERENCE)
    return dataclasses.replace(
        tiny_model,
        use_case=use_case,
        estimator=SizeItself(),
        onnx=None,
        request_columns={"x": "float64", "colour": "string"},
        example={"x": 1.0, "colour": "red"},
    )


def publish_sizes(lake: Lake, red: float, token: int) -> None:
    schema = arrow_schema(SIZES)
    lake.table("tiny", "reference_sizes").publish(
        pa.table({"colour": ["red"], "size": [red]}, schema=schema),
        partition="all",
        schema=schema,
        writer=Writer("run", 1, token, "test"),
    )


def size_of_red(models: Models) -> float:
    live = models.live("tiny")
    assert live is not None
    rows = pd.DataFrame({"x": [1.0], "colour": ["red"]})
    return float(live.model.predict(rows, live.references)["prediction"][0])


def test_reference_tables_are_read_again_when_they_change(
    make: Make, registry: Any, lake: Lake, sized_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(sized_model, "1")
    publish_sizes(lake, 10.0, 1)
    models = make()
    models.look()
    assert size_of_red(models) == 10.0
    first = models.live("tiny")
    models.look()
    assert models.live("tiny") is first, "nothing changed, nothing is read"
    publish_sizes(lake, 20.0, 2)
    models.look()
    assert size_of_red(models) == 20.0
    assert version(models) == "1"

    def away(*_: Any) -> Any:
        raise ServiceUnavailable("The lake does not answer.")

    monkeypatch.setattr(Lake, "table", away)
    models.look()
    assert size_of_red(models) == 20.0
    assert problems(models) == ["Reference tables are not fresh: The lake does not answer."]
    monkeypatch.undo()
    models.look()
    assert problems(models) == []


def test_a_reference_that_was_made_anew_is_read_again_also_at_the_same_version(
    make: Make, registry: Any, lake: Lake, sized_model: Any, tmp_path: Path
) -> None:
    registry.promote(sized_model, "1")
    publish_sizes(lake, 10.0, 1)
    models = make()
    models.look()
    (Path(lake.uri) / "tiny" / "reference_sizes").rename(tmp_path / "away")
    publish_sizes(lake, 20.0, 1)
    models.look()
    assert models.state("tiny")["reference_versions"] == {"sizes": 0}
    assert size_of_red(models) == 20.0


def other_size(model: Any) -> Any:
    """Return a model that declares fewer columns of the same table."""
    sizes = {**WITH_REFERENCE["ingest"]["references"]["sizes"], "key": ["colour"]}
    ingest = {**WITH_REFERENCE["ingest"], "references": {"sizes": {**sizes, "columns": {
        "colour": "string"}}}}  # fmt: skip
    features = {"inputs": ["x", "colour"], "numeric": ["x"], "references": ["sizes"]}
    use_case = tiny_use_case("regression", ingest=ingest, features=features)
    return dataclasses.replace(model, use_case=use_case, estimator=XItself(), onnx=None)


class XItself:
    """Predicts a column of the request."""

    def predict(self, X: pd.DataFrame) -> Any:
        """Return the column."""
        return X["x"].to_numpy()


def test_two_versions_share_one_copy_of_a_reference(
    make: Make, registry: Any, lake: Lake, sized_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(sized_model, "1")
    publish_sizes(lake, 10.0, 1)
    reads = []
    real = references_module.load_references
    monkeypatch.setattr(
        references_module, "load_references", lambda *given: reads.append(1) or real(*given)
    )
    models = make()
    models.look()
    first = models.live("tiny")
    registry.promote(sized_model, "2")
    models.look()
    second = models.live("tiny")
    assert first is not None
    assert second is not None
    assert (version(models), len(reads)) == ("2", 1)
    assert second.references["sizes"] is first.references["sizes"]

    registry.promote(other_size(sized_model), "3")  # needs other columns: a copy of its own
    models.look()
    third = models.live("tiny")
    assert third is not None
    assert (version(models), len(reads)) == ("3", 2)
    assert third.references["sizes"].values == {}
    table = weakref.ref(first.references["sizes"])
    del first, second
    gc.collect()
    assert table() is None, "what no model joins is not held"


def test_a_model_without_its_reference_tables_does_not_serve(
    make: Make, registry: Any, sized_model: Any
) -> None:
    registry.promote(sized_model, "1")
    models = make()
    models.look()
    assert version(models) is None
    assert problems(models)[0].startswith("Version 1 does not load: ")
    assert "reference_sizes" in problems(models)[0]


def test_what_served_last_is_remembered_whole(make: Make, tmp_path: Path) -> None:
    make().look()
    assert json.loads((tmp_path / "champions.json").read_text()) == {"tiny": "1"}
    assert [path.name for path in tmp_path.glob("champions*")] == ["champions.json"]
