"""Rules for several classes, from clean rows to the table `labels`."""

from __future__ import annotations

from include.label.rule_labels import label_partition
from include.labelling.history import LabelHistory
from tests.include.annotate.conftest import lake as lake
from tests.include.annotate.conftest import make as make
from tests.include.conftest import writer
from tests.support.scans import DAY, land


def test_rules_label_rows_with_each_of_three_classes(make, lake):
    functions = {
        "blank": {"when": "scan < 2", "label": 0},
        "also_blank": {"when": "scan == 1", "label": 0},
        "inked": {"when": "scan >= 2 and scan < 5", "label": 1},
        "folded": {"when": "scan >= 5", "label": 2},
        "contradicts": {"when": "scan == 6", "label": 1},
    }
    names = ["letter", "bill", "form"]
    labels = {"strategy": "rules", "rules": {"functions": functions}, "people": None}
    scans = make(labels=labels | {"classes": names})
    land(scans, lake, count=7)
    done = label_partition(scans, DAY, lake, writer(2))
    rows = lake.table("scans", "labels").read([DAY]).to_pylist()
    assert {row["scan"]: row["label"] for row in rows} == {0: 0, 1: 0, 2: 1, 3: 1, 4: 1, 5: 2}
    assert done.class_shares == {"0": 2 / 6, "1": 3 / 6, "2": 1 / 6}
    assert (done.labelled, done.undecided) == (6, 1)
    sources = LabelHistory(scans, lake).known(DAY).to_pylist()
    assert {row["scan"]: row["_source"] for row in sources}[1] == "blank, also_blank"


def test_a_rule_that_names_its_class_keeps_it_when_the_classes_are_listed_otherwise(
    make, lake, tmp_path
):
    functions = {
        "blank": {"when": "scan < 2", "label": "letter"},
        "folded": {"when": "scan >= 5", "label": "form"},
        "inked": {"python": "inked"},
    }
    (tmp_path / "use_cases" / "scans" / "labels.py").write_text(
        "def inked(row):\n    return 'bill' if 2 <= row['scan'] < 5 else None\n"
    )
    found = {}
    for token, names in enumerate([["letter", "bill", "form"], ["form", "letter", "bill"]], 2):
        labels = {"strategy": "rules", "rules": {"functions": functions}, "people": None}
        scans = make(labels=labels | {"classes": names})
        land(scans, lake, count=7)
        label_partition(scans, DAY, lake, writer(token))
        rows = lake.table("scans", "labels").read([DAY]).to_pylist()
        found[names[0]] = {row["scan"]: names[row["label"]] for row in rows}
    expected = dict.fromkeys((0, 1), "letter") | dict.fromkeys((2, 3, 4), "bill")
    assert found["letter"] == found["form"] == expected | dict.fromkeys((5, 6), "form")
