"""Which landed names belong to a pattern and a partition, and why the others do not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from include.errors import ConfigError, bounded
from include.partitions import check_key
from include.use_cases.schema import Grain

WHOLE = ""  # the key of what lands without partitions

_PARTITION = "{partition}"


@dataclass(frozen=True)
class Verdict:
    """What a name means to a pattern.

    Attributes
    ----------
    taken : bool
        Whether it belongs to the pattern, as far as its name tells.
    key : str
        The partition key that is known after this name; `WHOLE` as long as none is.
    why : str
        Why it is not taken; empty where nobody needs to be told, as for a hidden file.
    """

    taken: bool
    key: str = WHOLE
    why: str = ""


@dataclass(frozen=True)
class Pattern:
    """A path below the landing's root, in which `*` and `{partition}` stand for names.

    `*` stays within one step of the path and, as in a shell, does not match hidden names (those
    that begin with `.` or `_`).
    """

    text: str
    grain: Grain

    @cached_property
    def steps(self) -> list[str]:
        """The names on the way, the file's last."""
        return self.text.split("/")

    def is_literal(self, depth: int) -> bool:
        """Whether the step at that depth stands for one name only."""
        return "*" not in self.steps[depth] and _PARTITION not in self.steps[depth]

    def of(self, partition: str) -> Pattern | None:
        """Return the pattern of one partition's files, or None where the key is not of this grain.

        Examples
        --------
        >>> Pattern("flights/{partition}/*.csv", "month").of("2013-06").text
        'flights/2013-06/*.csv'
        """
        whole = _PARTITION not in self.text
        if whole != (partition == WHOLE) or not (whole or _is_key(partition, self.grain)):
            return None
        return Pattern(self.text.replace(_PARTITION, partition), self.grain)

    def judge(self, depth: int, name: str, key: str) -> Verdict:
        """Tell whether a name fits the step at that depth.

        Parameters
        ----------
        depth : int
            0 for what lies in the root itself.
        name : str
            As the file system gives it: bytes that are not UTF-8 are surrogates.
        key : str
            The key that the names above it gave.
        """
        match = self._regexes[depth].fullmatch(name)
        hidden = name.startswith((".", "_"))
        beside = self.is_literal(depth) and depth < len(self.steps) - 1
        if match is None and (beside or hidden):
            return Verdict(False)
        if not _is_clean(name):
            return Verdict(
                False, why="the name must be UTF-8 without control characters. Rename it"
            )
        if match is None:
            step = self.steps[depth]
            return Verdict(False, why=f"the name does not fit {step!r}. Rename it, or move it")
        found = match.groupdict().get("partition", key)
        if key != WHOLE and found != key:
            return Verdict(False, why=f"it lies in partition {key!r}, but names {found!r}. Move it")
        if found != key and not _is_key(found, self.grain):
            example = "2013-06" if self.grain == "month" else "2013-06-30"
            why = f"{found!r} is not a {self.grain} like {example!r}. Rename it"
            return Verdict(False, why="" if hidden else why)
        return Verdict(True, found)

    @cached_property
    def _regexes(self) -> list[re.Pattern[str]]:
        return [_regex(step) for step in self.steps]


def shown(path: str) -> str:
    r"""Write a landed path for a message, whatever bytes its names have.

    Examples
    --------
    >>> shown("flights/\udcff\n.csv")
    'flights/\\xff\\x0a.csv'
    """
    return bounded("".join(_shown_character(character) for character in path), 300)


def _shown_character(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character if character.isprintable() else f"\\x{number:02x}"


@lru_cache(maxsize=4096)  # parsing a date takes longer than the rest of the work per file
def _is_key(key: str, grain: Grain) -> bool:
    try:
        check_key(key, grain)
    except ConfigError:
        return False
    return True


def _is_clean(name: str) -> bool:
    """Names become parts of messages, logs and lake facts: they must be readable text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in name)


def _regex(step: str) -> re.Pattern[str]:
    text, seen = "", False
    for part in re.split(r"(\{partition\}|\*)", step):
        if part == "*":
            text += r"(?![._])[^/]*" if text == "" else "[^/]*"
        elif part == _PARTITION:
            text += "(?P=partition)" if seen else "(?P<partition>[^/]+)"
            seen = True
        else:
            text += re.escape(part)
    return re.compile(text, re.S)
