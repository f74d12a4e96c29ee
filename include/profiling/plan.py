"""All decisions about a table, and the questions that a person may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from include.errors import DataContractError
from include.profiling.features import Role, role_of
from include.profiling.key import ROW_NUMBER, Key, key_of
from include.profiling.outcome import Outcome, label_of, outcome_of
from include.profiling.table import Table
from include.profiling.time import NONE, Time, time_of
from include.use_cases.schema import ColumnType

Ask = Callable[[str, str, str], str]
"""Asks a person: which variable, the default, and why that is the default; gives the answer."""


@dataclass(frozen=True)
class Answers:
    """What a person has said beforehand; None leaves it to what the data show."""

    label: str | None = None
    key: str | None = None
    time: str | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """A use case to be.

    Attributes
    ----------
    name : str
        Of the use case.
    table : Table
        The sample.
    outcome, key, time : Outcome, Key, Time
        What is predicted, what names a row, and when it was.
    roles : list of Role
        Of the other columns.
    """

    name: str
    table: Table
    outcome: Outcome
    key: Key
    time: Time
    roles: list[Role]

    @property
    def numeric(self) -> list[str]:
        """Numbers that the model sees."""
        return [role.column for role in self.roles if role.kind == "numeric"]

    @property
    def categorical(self) -> list[str]:
        """Texts that the model sees."""
        return [role.column for role in self.roles if role.kind == "categorical"]

    @cached_property
    def columns(self) -> dict[str, ColumnType]:
        """What `ingest.columns` says: key and time first."""
        named = [*self.key.columns, *([self.time.column] if self.time.column else [])]
        kept = {*named, *self.numeric, *self.categorical}
        ordered = dict.fromkeys([*named, *(name for name in self.table.findings if name in kept)])
        return {
            name: self.table.kind(name) if name in self.table.findings else "int64"
            for name in ordered
        }

    @cached_property
    def format(self) -> dict[str, Any]:
        """The section `format`, of the columns that are read."""
        found, read = dict(self.table.format), {*self.columns, self.outcome.column}
        columns = {
            name: dict(rules) for name, rules in found.pop("columns", {}).items() if name in read
        }
        if self.outcome.classes and self.outcome.kind == "string":
            label = columns.get(self.outcome.column, {})
            label.pop("true_values", None)
            label.pop("false_values", None)
        columns = {name: rules for name, rules in columns.items() if rules}
        return found | ({"columns": columns} if columns else {})

    @property
    def landing(self) -> str:
        """Where its files land."""
        packed = "" if self.cut or self.key.numbered else self.table.raw.packed
        return f"{self.name}/{{partition}}/*{self.table.raw.kind}{packed}"

    @property
    def cut(self) -> bool:
        """Whether the file is cut into one for each partition."""
        return self.time.partitions > 1

    def decisions(self) -> Iterator[tuple[str, str, str, str]]:
        """Tell of each column its name, type, role and the reason, in the order of the file."""
        told: dict[str, tuple[str, str]] = {
            role.column: (role.kind, role.why) for role in self.roles
        }
        told[self.outcome.column] = ("label", self.outcome.why)
        if self.time.column:
            told[self.time.column] = ("time", self.time.why)
        for name in self.key.columns:
            also = f"; also the time: {self.time.why}" if name == self.time.column else ""
            told[name] = ("key", self.key.why + also)
        if self.key.numbered:
            yield self.key.columns[0], "int64", *told[self.key.columns[0]]
        for name, finding in self.table.findings.items():
            kind = self.outcome.kind if name == self.outcome.column else finding.kind
            role, why = told[name]
            notes = [note for note in finding.notes if note not in why]
            yield name or "(no name)", kind, role, "; ".join([why, *notes])


def plan_of(name: str, table: Table, answers: Answers, ask: Ask | None = None) -> Plan:
    """Decide about a table.

    Parameters
    ----------
    name : str
        Of the use case to be.
    table : Table
        The sample.
    answers : Answers
        What a person has said.
    ask : callable, optional
        Asks for what the answers leave open: at most three questions. Without it nobody is asked.

    Raises
    ------
    DataContractError
        The table, or an answer, cannot be used: why, and what to do.
    """
    label = answers.label
    if label is None:
        label, why = label_of(table)
        label = ask("LABEL", label, why) if ask else label
    outcome = outcome_of(table, label)
    key = key_of(table, answers.key, label)
    if answers.key is None and ask is not None:
        default = ROW_NUMBER if key.numbered else ",".join(key.columns)
        said = ask("KEY", default, key.why)
        key = key if said == default else key_of(table, said, label)
    time = time_of(table, answers.time, label)
    if answers.time is None and ask is not None and _has_times(table, label):
        default = time.column or NONE
        said = ask("TIME", default, time.why)
        time = time if said == default else time_of(table, said, label)
    taken = {label, *key.columns, time.column}
    roles = [role_of(table, each, outcome) for each in table.findings if each not in taken]
    if not any(role.kind != "left out" for role in roles):
        raise DataContractError(
            f"{table.path}: no column is left to predict {label!r} from: "
            f"{'; '.join(f'{role.column}: {role.why}' for role in roles[:5]) or 'there are none'}. "
            "Name a file with more columns, or another KEY."
        )
    return Plan(name, table, outcome, key, time, roles)


def _has_times(table: Table, label: str) -> bool:
    times = ("date", "timestamp")
    return any(table.kind(name) in times for name in table.frame.columns if name != label)
