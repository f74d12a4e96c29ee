"""YAML as people write it: version 1.2, no key twice, and a line for every error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError
from include.use_cases.yaml_text import read, write

TEXT = """\
a: 1
b:
  c: [x, y]

  d:
    - e: 1
    - e: 2
      f: 3
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("true", True),
        ("1e-3", 0.001),
        ("010", 10),
        ("0o10", 8),
        ("12:30", "12:30"),
        ("~", None),
        ("'1'", "1"),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert read(f"k: {text}", "u.yaml").content == {"k": value}
    assert type(read(f"k: {text}", "u.yaml").content["k"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            "u.yaml, line 3: key 'a' is given twice, first in line 1. Keep one.",
        ),
        (
            "top:\n  - {b: 1}\n  - c: 1\n    d: 2\n    'c': 3\n",
            "u.yaml, line 5: key 'c' is given twice, first in line 3. Keep one.",
        ),
        ("01: a\n1: b\n", "u.yaml, line 2: key 1 is given twice, first in line 1. Keep one."),
        ("a: 1\nb: [1, 2\n", "u.yaml, line 3: expected ',' or ']', but got '<stream end>'."),
        ("a: 1\nb: *x\n", "u.yaml, line 2: found undefined alias 'x'. Correct the YAML."),
        ("a: !!python/name:os.system ''\n", "u.yaml, line 1: could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "u.yaml, line 2: but found another document."),
        ("a: \x01\n", "u.yaml: is not YAML: unacceptable character #x0001"),
        ("a: 2013-02-31\n", "u.yaml: is not YAML: day is out of range for month"),
        ("[" * 5000, "u.yaml: is not YAML: maximum recursion depth"),
    ],
)
def test_what_is_wrong_has_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(text, "u.yaml")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (["a"], "u.yaml, line 1"),
        (["b", "c"], "u.yaml, line 3"),
        (["b", "c", 1], "u.yaml, line 3"),
        (["b", "d", 1], "u.yaml, line 7"),
        (["b", "d", "1", "f"], "u.yaml, line 8"),
        (["b", "d", 1, "a union's tag", "f"], "u.yaml, line 8"),
        (["b", "missing"], "u.yaml, line 2"),
        (["b", "d", 7], "u.yaml, line 5"),
        (["missing"], "u.yaml"),
        ([], "u.yaml"),
    ],
)
def test_place_of_a_key(path: list[int | str], place: str) -> None:
    assert read(TEXT, "u.yaml").place(path) == place


def test_place_in_an_empty_file() -> None:
    assert read("# nothing\n", "u.yaml").place(["a"]) == "u.yaml"


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["C"]))
    | st.sampled_from(["yes", "1e-3", "0 6 * * *", "2013-01-01", ">= 15", "~", "a: b", "# c"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), inner)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_written_is_read_back(content: object) -> None:
    again = read(write(content), "u.yaml").content
    assert json.dumps(again) == json.dumps(content)  # with the order of keys, and 1 is not 1.0


def test_written_yaml_keeps_the_order_of_keys_and_long_texts_in_one_line() -> None:
    assert write({"b": "word " * 100 + "end", "a": [1]}).splitlines() == [
        f"b: {'word ' * 100}end",
        "a:",
        "- 1",
    ]
