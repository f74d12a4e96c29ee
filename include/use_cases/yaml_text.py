"""YAML that people write: every error has its line, and a key given twice is one.

The YAML is version 1.2, read by `ruamel.yaml`: `yes`, `no`, `on` and `off` are text, `1e-3` is a
number, and `010` is ten.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from include.errors import ConfigError


@dataclass(frozen=True)
class Document:
    """One YAML file, read.

    Attributes
    ----------
    content : object
        What the YAML says: dicts, lists, numbers, strings.
    text : str
        The YAML.
    origin : str
        Where it is from, for messages.
    beside : mapping of tuple of str to Document
        By key: the files that hold the value of a key, where it is not in this one.
    """

    content: Any
    text: str
    origin: str
    beside: Mapping[tuple[str, ...], Document] = field(default_factory=dict)

    def place(self, path: Sequence[int | str]) -> str:
        r"""Write where a key stands, for the start of a message.

        The text is read a second time, as nodes that know their lines: this is for errors, and
        the loader that always keeps lines takes twice as long.

        Parameters
        ----------
        path : sequence of int or str
            Keys and positions from the top. A part that the YAML lacks is passed over: a missing
            key is in the line of what should hold it.

        Examples
        --------
        >>> read("train:\n  tuning: {trials: 0}\n", "u.yaml").place(["train", "tuning", "trials"])
        'u.yaml, line 2'
        >>> read("train: {}\n", "u.yaml").place(["owner"])
        'u.yaml'
        """
        for above, document in self.beside.items():
            if tuple(path[: len(above)]) == above and len(path) > len(above):
                return document.place(path[len(above) :])
        line, node = 0, _loader().compose(self.text)
        for part in path:
            for key, marked, value in _children(node):
                if key == str(part):
                    line, node = marked.start_mark.line + 1, value
        return f"{self.origin}, line {line}" if line else self.origin


def read(text: str, origin: str) -> Document:
    """Read YAML.

    Raises
    ------
    ConfigError
        Not YAML, or a key stands twice in one mapping. The message has the line.
    """
    try:
        return Document(_loader().load(text), text, origin)
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        advice = "Keep one" if isinstance(error, DuplicateKeyError) else "Correct the YAML"
        raise ConfigError(f"{origin}{line}: {error.problem}. {advice}.") from error
    except (YAMLError, ValueError, RecursionError) as error:  # a control character, 2013-99-99
        why = str(error).splitlines()[0]
        raise ConfigError(f"{origin}: is not YAML: {why}. Correct it.") from error


def write(content: object) -> str:
    """Write dicts, lists, numbers and strings as YAML, in their order; `read` reads it back."""
    yaml = _loader()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000  # a long text stays in one line
    stream = io.StringIO()
    yaml.dump(content, stream)
    return stream.getvalue()


class _Constructor(SafeConstructor):
    """The safe constructor, telling of a repeated key where the first one stands."""

    def check_mapping_key(
        self, node: MappingNode, key_node: Node, mapping: Any, key: Any, value: Any
    ) -> bool:
        """Refuse a key that stands in the mapping already."""
        if key not in mapping:
            return True
        first = next(k for k, _ in node.value if self.construct_object(k, deep=True) == key)
        line = first.start_mark.line + 1
        problem = f"key {key!r} is given twice, first in line {line}"
        raise DuplicateKeyError(problem=problem, problem_mark=key_node.start_mark)


def _loader() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    return yaml


def _children(node: Node) -> Iterator[tuple[str, Node, Node]]:
    """Yield each child's key, the node that marks its line, and its value."""
    if isinstance(node, MappingNode):
        yield from ((str(key.value), key, value) for key, value in node.value)
    elif isinstance(node, SequenceNode):
        yield from ((str(number), item, item) for number, item in enumerate(node.value))
