"""How numbers are written: what begins the fraction, and what groups the digits."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

_WHOLE = r"^-?[0-9]{1,18}$"
_PLAIN = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class Style:
    """One way to write numbers.

    Attributes
    ----------
    decimal : str
        What begins the fraction.
    thousands : str
        What groups the digits by three; or nothing.
    """

    decimal: str
    thousands: str = ""

    @property
    def pattern(self) -> str:
        """A regular expression of its numbers."""
        if self == PLAIN:
            return _PLAIN
        fraction, group = re.escape(self.decimal), re.escape(self.thousands)
        grouped = f"[0-9]{{1,3}}({group}[0-9]{{3}})+|" if self.thousands else ""
        return rf"^-?({grouped}[0-9]+)({fraction}[0-9]+)?([eE][+-]?[0-9]+)?$"


PLAIN = Style(".")
STYLES = (
    PLAIN,
    Style(","),
    Style(",", "."),
    Style(".", ","),
    Style(",", " "),
    Style(".", "'"),
    Style(".", " "),
)


def styles_of(texts: pa.Array) -> list[Style]:
    """List the ways by which all of the texts are numbers."""
    return [style for style in STYLES if _all(texts, style.pattern)]


def is_whole(texts: pa.Array, style: Style) -> bool:
    """Whether all numbers are whole ones that 64 bits hold."""
    if style.thousands:
        texts = pc.replace_substring(texts, style.thousands, "")
    return _all(texts, _WHOLE)


def is_digits(texts: pa.Array) -> bool:
    """Whether all are whole numbers, of any length."""
    return _all(texts, r"^-?[0-9]+$")


def has_leading_zero(texts: pa.Array) -> bool:
    """Whether a text such as `00417` stands among them: a code, whose zeros a number would lose."""
    return bool(pc.any(pc.match_substring_regex(texts, r"^-?0[0-9]+$"), min_count=0).as_py())


def file_style(fitting: list[list[Style]], delimiter: str) -> Style:
    """Choose the way of a whole file by its columns.

    Parameters
    ----------
    fitting : list of list of Style
        For each column that could be numbers: the ways that fit.
    delimiter : str
        Where cells are separated by `;`, a comma is more likely to begin a fraction.
    """
    sure = [styles[0] for styles in fitting if styles and len({s.decimal for s in styles}) == 1]
    other = [style for style in sure if style != PLAIN]
    if other:
        decimals = [style.decimal for style in other]
        decimal = max(sorted(set(decimals)), key=decimals.count)
        grouping = [s for s in other if s.decimal == decimal and s.thousands]
        return grouping[0] if grouping else Style(decimal)
    return Style(",") if delimiter == ";" and any(PLAIN not in s for s in fitting) else PLAIN


def _all(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())
