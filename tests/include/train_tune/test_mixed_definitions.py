"""A training on partitions of another definition: refused without a trace, or named."""

from __future__ import annotations

import pytest

from include.due.definitions import DEFINITION
from include.errors import DataContractError
from include.lake.table import Writer
from include.train_tune.prepare import prepare
from tests.support.trainings import finished, searched


@pytest.fixture
def mixed(house):
    """Give a house whose January labels another rule has made."""
    table = house.lake.table("tiny", "labels")
    rows = table.read(["2024-01"]).drop_columns(["partition"])
    table.publish(
        rows, partition="2024-01", schema=rows.schema, writer=Writer("t", 1, 9, "t"),
        consumed={DEFINITION: 0xD1},
    )  # fmt: skip
    return house


def test_by_default_it_is_refused_and_leaves_no_run(mixed):
    with pytest.raises(
        DataContractError,
        match=r"tiny: the partitions of a training must be made by the definitions of today .*: "
        r"labels of 2024-01 \(made by definition 00000000000000d1, .*Start tiny__rebuild with ",
    ):
        prepare(mixed.use_case, "2024-02", mixed.lake, mixed.registry, "mixed")
    assert mixed.registry.find_run("tiny", "train mixed") is None


def test_by_choice_it_is_trained_and_named_in_the_model(mixed):
    train = mixed.use_case.train.model_copy(update={"mixed_definitions": "name"})
    use_case = mixed.use_case.model_copy(update={"train": train})
    prepared = prepare(use_case, "2024-02", mixed.lake, mixed.registry, "mixed")
    trained = finished(mixed, prepared, searched(mixed, prepared))

    model = mixed.registry.load("tiny", trained.version)
    (told,) = model.facts["mixed_definitions"]
    assert told.startswith("labels of 2024-01 (made by definition 00000000000000d1, ")
    assert mixed.registry.details("tiny", trained.version)["tags"]["mixed_definitions"] == told
    note = mixed.registry.client.get_run(prepared.run_id).data.tags["mlflow.note.content"]
    assert note.endswith(told)


def test_a_training_of_today_names_nothing(house):
    prepared = prepare(house.use_case, "2024-02", house.lake, house.registry, "plain")
    assert prepared.mixed_definitions == []
    tags = house.registry.client.get_run(prepared.run_id).data.tags
    assert not {"mixed_definitions", "mlflow.note.content"} & set(tags)
