"""YAML that people write: a key given twice is an error with its line, not a silent last wins."""

from __future__ import annotations

from typing import Any

import yaml

from include.errors import ConfigError


class _NoDuplicates(yaml.SafeLoader):
    """The safe loader, less its tolerance of repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a dict, refusing a key that stands in it twice."""
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if isinstance(key, str | int | float | bool) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} is given twice, first in line {seen[key]}. Keep one",
                    problem_mark=key_node.start_mark,
                )
            if isinstance(key, str | int | float | bool):
                seen[key] = line
        return super().construct_mapping(node, deep)


def parse(text: str, origin: str) -> Any:
    """Read YAML.

    Parameters
    ----------
    text : str
        The YAML.
    origin : str
        Where it is from, for messages.

    Returns
    -------
    object
        What the YAML says: dicts, lists, numbers, strings.

    Raises
    ------
    ConfigError
        Not YAML, or a key stands twice in one mapping. The message has the line.
    """
    try:
        return yaml.load(text, Loader=_NoDuplicates)  # noqa: S506 - it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}:" if mark is not None else ""
        raise ConfigError(f"{origin}:{line} {error.problem}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: is not YAML: {error}.") from error
