"""The card of an item, as other Markdown parsers read it: values stand for themselves."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import mistune
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from include.labelling.asking import Item
from include.labelling.card import MOST_CHARACTERS, Card, card, code
from include.use_cases.loader import get

GITHUB = MarkdownIt("gfm-like")
CLOSES_AT = datetime(2024, 5, 8, 14, tzinfo=UTC)
PICTURE = "digits/pictures/2024-05-01/9f3a.png"
NASTY = [
    "**bold** _it_ ~~gone~~ # head",
    "[click](https://evil.example) ![see](https://evil.example/x.png)",
    "<https://evil.example> https://evil.example www.evil.example a@evil.example",
    "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:x'>x</a>",
    "a | b || c \\| d \\\\| e",
    "`", "``", "a ` b", "`a", "a`", "` a `", "```\ncode\n```", "`" * 50,
    "one\ntwo\n\nthree", "a\r\n- b\r\n> c\r\n\r\n    d", "a\n\n![x](https://evil.example)\n",
    "---", "- [ ] x", "1. x", "> x", "    x", "\n", "\n\n", " ", "   ", " a ", "  a", "\ta",
    "&lt;b&gt; &#42;", "[x]: https://evil.example", "[^1]: note", "\\", "\\\n", "a\\",
    "\x00\x1b[31mred\x7f", "\u202egnp.exe", "zero\u200bwidth", "\ud800", "\u2028x",
    "\x0bx\x0cy\x85z",
    "x" * 10_000, "|" * 10_000, "`a" * 5_000, "[" * 10_000, "\n" * 10_000,
]  # fmt: skip


def card_of(row: dict[str, Any], picture: str | None = None) -> Card:
    one = Item("9f3a", {"image": "a"}, row, "uncertain", 0.9, 7, 0.6, picture)
    use_case = get("digits")
    return card(use_case, one, place=3, of=20, closes_at=CLOSES_AT, pictures="flywheel")


def tokens(body: str) -> list[Token]:
    """Return all tokens of a page, inline ones too."""
    found = []
    for token in GITHUB.parse(body):
        found += [token, *(token.children or [])]
    return found


def kinds(body: str) -> set[str]:
    return {token.type for token in tokens(body)} - {"inline", "text", "code_inline", "hardbreak"}


def values(body: str) -> list[list[str]]:
    """Return the texts of each entry of the list: the column, and the lines of its value."""
    entries = []
    for token in GITHUB.parse(body):
        children = token.children or []
        bold = [
            two.content
            for one, two in itertools.pairwise(children)
            if (one.type, two.type) == ("strong_open", "text")
        ]
        spans = [one.content for one in children if one.type == "code_inline"]
        if token.type == "inline" and spans:
            entries.append(bold + spans)
    return entries


PLAIN = kinds(card_of({"a": "plain"}).body)


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_a_value_is_shown_and_does_nothing_else(value):
    body = card_of({"before": "1", "text": value, "after": 2}).body
    assert kinds(body) <= PLAIN
    before, text, after = values(body)
    assert (before, after) == (["before", "1"], ["after", "2"])
    assert text[0] == "text"
    if value.isprintable() and len(value) <= MOST_CHARACTERS:
        assert text[1:] == [value]


@given(st.text(), st.text(min_size=1))
@settings(max_examples=400, deadline=None)
@example("`\n`", "``")
def test_whatever_the_value_and_the_name_nothing_but_text_comes_of_it(value, name):
    body = card_of({name: value, "after": "x"}).body
    assert kinds(body) <= PLAIN
    assert values(body)[-1] == ["after", "x"]


@given(st.text(st.characters(blacklist_categories=["C", "Zl", "Zp"]), min_size=1, max_size=300))
@settings(max_examples=400, deadline=None)
@example("a`` ` b")
@example(" ` ")
def test_another_parser_reads_the_same_text(text):
    read = mistune.create_markdown(renderer="ast")(f"- {code(text)}")
    (item,) = read[0]["children"]
    (block,) = item["children"]
    (span,) = block["children"]
    assert (span["type"], span["raw"]) == ("codespan", text)


@pytest.mark.parametrize("name", ["_a_", "a__b", "a*b*", "a b", "www.evil.example", "`", "|", "é"])
def test_a_name_of_a_column_is_shown_as_it_is(name):
    body = card_of({name: 1}).body
    assert values(body) == [[name, "1"]]
    assert kinds(body) <= PLAIN


def test_each_line_is_a_line_and_an_empty_one_is_seen():
    (entry,) = values(card_of({"text": "one\r\n\ntwo"}).body)
    assert entry == ["text", "one↵", "↵", "two"]


def test_what_has_no_shape_is_written_out():
    (entry,) = values(card_of({"text": "\u202egnp\x00"}).body)
    assert entry == ["text", "\\u202egnp\\u0000"]


def test_a_long_value_is_cut_and_says_so():
    body = card_of({"text": "x" * 10_000}).body
    assert values(body) == [["text", "x" * 2_000]]
    assert "*and 8,000 more characters*" in body


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "*missing*"), (float("nan"), "*missing*"), ("", "*empty*"), (0, "`0`"),
        (False, "`False`"), (1.5, "`1.5`"),
        (datetime(2024, 5, 1, tzinfo=UTC), "`2024-05-01T00:00:00+00:00`"),
    ],
)  # fmt: skip
def test_values_of_every_type(value, shown):
    assert card_of({"a": value}).body.splitlines()[0] == f"- **a**: {shown}"


def test_the_picture_is_the_only_image_and_comes_first():
    body = card_of({"a": NASTY[1]}, PICTURE).body
    images = [token.attrs["src"] for token in tokens(body) if token.type == "image"]
    assert images == ["flywheel/digits/pictures/2024-05-01/9f3a.png"]
    assert body.startswith("![picture](")


def test_the_card_tells_the_place_and_the_time_but_neither_guess_nor_policy():
    shown = card_of({"a": 1}, PICTURE)
    assert shown.subject == "Which digit is this, from 0 to 9, in 64 shades? (3 of 20)"
    assert "Answers count until 2024-05-08 14:00 UTC." in shown.body
    for hidden in ("uncertain", "0.6", "0.9", "7"):
        assert hidden not in shown.body.replace("flywheel/digits", "")
