"""The type of a column of text, the rules by which it is read, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.ingest_label.cells import CONTROL
from include.profiling import dates
from include.profiling.numbers import PLAIN, Style, has_leading_zero, is_digits, is_whole, styles_of
from include.use_cases.schema import ColumnType

MISSING = {
    "?", "-", "--", ".", "n/a", "na", "nan", "none", "null", "nil", "missing", "unknown", "#n/a",
    "k.a.", "k. a.", "n.a.",
}  # fmt: skip
"""Words that mean a missing value among numbers and times."""
_SURELY_MISSING = {"?", "n/a", "na", "nan", "null", "#n/a"}
"""Those that do so among words too: `none` and `unknown` may be answers."""
WORDS = (
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
    ("ja", "nein"),
    ("j", "n"),
    ("oui", "non"),
    ("si", "no"),
    ("on", "off"),
    ("wahr", "falsch"),
)
_SIGN = r"[+%$€£¥\x{a0}\x{202f}\x{2212}]"
_AMOUNT = r"^([-+\x{2212}] ?)?([$€£¥][ \x{a0}]?)?[0-9][0-9.,' \x{a0}\x{202f}]*[%$€£¥]?$"
"""Amounts of money, percentages, digits grouped by a no-break space: neither numbers nor words."""
_EXACT = {"true", "True", "false", "False"}
_STRAY_SHARE, _STRAY_WORDS = 0.05, 3
"""Among numbers so large a share of other words, and so many different ones, may be words for a
missing value that this list lacks. Our choice; what was taken so is told."""


@dataclass(frozen=True)
class Finding:
    """What a column holds.

    Attributes
    ----------
    kind : str
        Its type.
    rules : dict
        What `format` must say about it.
    notes : tuple of str
        What a person should know.
    obstacle : str
        Why it cannot be a feature; empty where it can.
    style : Style
        How its numbers are written.
    padded : bool
        Blanks stand around numbers.
    """

    kind: ColumnType
    rules: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    obstacle: str = ""
    style: Style = PLAIN
    padded: bool = False


@dataclass(frozen=True, eq=False)
class Texts:
    """The different texts of a column.

    Attributes
    ----------
    values : Array
        Different ones without blanks around, without empty ones and words for missing values.
    counts : Array
        How often each stands there.
    nulls : list of str
        Words for missing values, as they stand; `" "` for cells of blanks.
    weak : list of str
        Words that mean a missing value among numbers, but not among words.
    padded : bool
        Blanks stand around values.
    """

    values: pa.Array
    counts: pa.Array
    nulls: list[str]
    weak: list[str]
    padded: bool

    @staticmethod
    def of(column: pa.ChunkedArray) -> Texts:
        """Look at a column of text."""
        trimmed = pc.utf8_trim_whitespace(column)
        padded = pc.and_(pc.not_equal(column, trimmed), pc.not_equal(trimmed, ""))
        blank = pc.and_(pc.not_equal(column, ""), pc.equal(trimmed, ""))
        counted = pc.value_counts(trimmed.combine_chunks())
        values, counts = counted.field("values"), counted.field("counts")
        lower = pc.utf8_lower(values)
        missing = pc.is_in(lower, pa.array(sorted(MISSING)))
        words = values.filter(missing).to_pylist()
        kept = pc.and_(pc.invert(missing), pc.not_equal(values, ""))
        weak = [word for word in words if word.lower() not in _SURELY_MISSING]
        nulls = [word for word in words if word.lower() in _SURELY_MISSING]
        if pc.any(blank, min_count=0).as_py():
            nulls.insert(0, " ")
        return Texts(
            values.filter(kept),
            counts.filter(kept),
            nulls,
            weak,
            bool(pc.any(padded, min_count=0).as_py()),
        )

    def numeric_styles(self) -> list[Style]:
        """List the ways to write numbers that fit all values, but for a few stray words."""
        numbers, _ = self.without_strays()
        return styles_of(numbers) if len(numbers) else []

    def without_strays(self) -> tuple[pa.Array, list[str]]:
        """Return the values that look like numbers, and the few words beside them, if few."""
        digits = pc.match_substring_regex(self.values, r"^-?[.,]?[0-9]")
        strays = self.values.filter(pc.invert(digits))
        others = pc.sum(self.counts.filter(pc.invert(digits))).as_py() or 0
        total = pc.sum(self.counts).as_py() or 0
        if len(strays) > _STRAY_WORDS or others > _STRAY_SHARE * total:
            return self.values, []
        return self.values.filter(digits), strays.to_pylist()


def finding_of(texts: Texts, style: Style, *, name: str) -> Finding:
    """Tell what a column of text holds.

    Parameters
    ----------
    texts : Texts
        Its values.
    style : Style
        How numbers are written in most columns of the file.
    name : str
        The column.
    """
    if not len(texts.values):
        return Finding("string", obstacle="has no values")
    if (found := _words(texts)) or (found := _times(texts, style, name)):
        return found
    if (found := _number(texts, style)) is not None:
        return found
    return _string(texts)


def _words(texts: Texts) -> Finding | None:
    if len(texts.values) > 4:
        return None
    words = texts.values.to_pylist()
    for true, false in WORDS:
        if {word.lower() for word in words} == {true, false}:
            rules = _nulls(texts)
            if set(words) <= _EXACT and not rules and not texts.padded:
                return Finding("bool")
            rules["true_values"] = [word for word in words if word.lower() == true]
            rules["false_values"] = [word for word in words if word.lower() == false]
            return Finding("bool", rules)
    return None


def _times(texts: Texts, style: Style, name: str) -> Finding | None:
    values = texts.values.to_pandas()
    if not values.iloc[0][:1].isalnum():
        return None
    digits_only = bool(values.str.fullmatch(r"\d{8}").all())
    if digits_only and not any(word in name.lower() for word in ("date", "dat", "day", "tag")):
        return None  # an account number, more likely
    found = dates.times_of(values, day_first=style.decimal == ",")
    if found is None:
        several = dates.several_formats(values)
        if not several:
            return None
        why = f"dates in {len(several)} formats ({', '.join(several)}); write them in one"
        return Finding("string", obstacle=why)
    rules: dict[str, Any] = _nulls(texts)
    notes = []
    if found.time_format is not None:
        rules["time_format"] = found.time_format
    elif texts.padded:
        rules["time_format"] = "%Y-%m-%d"
    if found.ambiguous:
        notes.append(f"taken as {found.time_format}: day and month could be the other way round")
    if found.local:
        rules["time_zone"] = "UTC"
        notes.append("times without a zone are taken as UTC")
    return Finding("date" if found.kind == "date" else "timestamp", rules, tuple(notes))


def _number(texts: Texts, style: Style) -> Finding | None:
    numbers, strays = texts.without_strays()
    fitting = styles_of(numbers) if len(numbers) else []
    if not fitting:
        return None
    if has_leading_zero(numbers):
        return Finding("string", notes=("has leading zeros: a code, not a number",))
    found = _style(numbers, fitting, style)
    rules = _nulls(texts, strays)
    notes = (f"{strays} taken as missing",) if strays else ()
    whole = is_whole(numbers, found)
    if whole and found == PLAIN:
        return Finding("int64", rules, notes, padded=texts.padded)
    if not whole and is_digits(numbers):
        return Finding("string", notes=("too long for a whole number",))
    # A whole number has no fraction, so `decimal` cannot be said of it; with ',' it is needed.
    kind: ColumnType = "int64" if whole and found.decimal == "." else "float64"
    return Finding(kind, rules, notes, style=found, padded=texts.padded)


def _style(numbers: pa.Array, fitting: list[Style], style: Style) -> Style:
    if is_whole(numbers, PLAIN):
        return PLAIN
    for each in (Style(style.decimal), style):
        if style != PLAIN and each in fitting:
            return each
    alike = [each for each in fitting if each.decimal == style.decimal]
    return PLAIN if PLAIN in fitting and style.decimal == "." else (alike or fitting)[0]


def _string(texts: Texts) -> Finding:
    values, counts = texts.values, texts.counts
    if pc.any(pc.match_substring_regex(values, CONTROL)).as_py():
        why = "holds line breaks or other control characters; write each text in one line"
        return Finding("string", obstacle=why)
    signed = pc.any(pc.match_substring_regex(values, _SIGN)).as_py()
    if signed and pc.all(pc.match_substring_regex(values, _AMOUNT)).as_py():
        why = f"numbers with signs, such as {values[0].as_py()!r}; write them without"
        return Finding("string", obstacle=why)
    numbers = pc.match_substring_regex(values, r"^-?[0-9]+([.,][0-9]+)?$")
    there = pc.sum(counts.filter(numbers)).as_py() or 0
    share = there / pc.sum(counts).as_py()
    rules = {"null_values": texts.nulls} if _not_codes(texts) else {}
    if 0.2 <= share < 1:
        other = values.filter(pc.invert(numbers))[:3].to_pylist()
        why = f"numbers ({share:.0%}) mixed with words such as {other}; correct the file"
        return Finding("string", rules, obstacle=why)
    return Finding("string", rules)


def _not_codes(texts: Texts) -> bool:
    """Whether words such as NA are missing values: among codes of two letters it may be one."""
    words = [word for word in texts.nulls if word != " "]
    codes = pc.all(pc.match_substring_regex(texts.values, r"^[A-Z]{2}$"), min_count=0).as_py()
    return bool(words) and not (codes and "NA" in words)


def _nulls(texts: Texts, strays: list[str] | None = None) -> dict[str, Any]:
    found = [*texts.nulls, *texts.weak, *(strays or ())]
    return {"null_values": found} if found else {}
