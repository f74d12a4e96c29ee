"""The table `label_rounds`: what stays true of a round after it was chosen."""

from __future__ import annotations

import re

import numpy as np

from include.annotate.choosing import choose_round
from include.annotate.guesses import Guesses
from include.labelling.asking import item_id
from include.labelling.interface import task
from include.labelling.rounds import read_round, round_ids
from include.lake.table import Lake
from tests.include.annotate.conftest import lake as lake
from tests.include.annotate.conftest import make as make
from tests.include.conftest import writer
from tests.support.scans import DAY, land

ROWS = {item_id({"scan": number}): number for number in range(100)}
LETTER = Guesses("1", ROWS, np.tile([0.5, 0.3, 0.2], (100, 1)))
"""The champion takes each scan for a letter, the first class."""


def suggested(use_case, lake) -> set[str]:
    """Name the classes that are preselected for the items that a policy chose."""
    chosen = read_round(use_case, DAY, 1, lake).items
    sent = [task(use_case, one, "r", None) for one in chosen if one.policy == "uncertain"]
    assert sent
    return {
        name
        for each in sent
        for prediction in each.get("predictions", [])
        for result in prediction["result"]
        for name in result["value"]["choices"]
    }


def test_what_the_champion_said_stays_the_same_class_in_another_order_of_classes(make, lake):
    use_case = make()
    land(use_case, lake)
    choose_round(use_case, DAY, lake, writer(1), LETTER)

    assert suggested(use_case, lake) == {"letter"}
    assert suggested(make(labels={"classes": ["form", "bill", "letter"]}), lake) == {"letter"}
    assert suggested(make(labels={"classes": ["form", "bill", "cheque"]}), lake) == set()


def test_rounds_of_the_same_number_have_different_ids(make, lake, tmp_path):
    use_case, other = make(), Lake(str(tmp_path / "other"))
    for each in (lake, other):
        land(use_case, each)
        choose_round(use_case, DAY, each, writer(1))

    ids = [round_ids(use_case, DAY, each) for each in (lake, lake, other)]
    assert ids[0] == ids[1]
    assert ids[0].keys() == ids[2].keys() == {1}
    assert ids[0][1] != ids[2][1]
    assert all(re.fullmatch("[0-9a-f]{32}", each[1]) for each in ids)
