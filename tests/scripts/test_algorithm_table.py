"""The table of algorithms in the documentation is that of the code."""

from include.algorithms import ALGORITHMS
from scripts.algorithm_table import PATH, table, with_table


def test_the_documented_table_is_that_of_the_code() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert text == with_table(text), "docs/use-case.md is out of date: run `make schema`"


def test_each_algorithm_has_a_line_with_its_ranges() -> None:
    lines = table().splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == list(ALGORITHMS)
    (ridge,) = [line for line in lines if line.startswith("| `ridge`")]
    assert "| regression |" in ridge
    assert "`alpha` 0.001 to 100 (logarithmic) | scaled | yes |" in ridge
