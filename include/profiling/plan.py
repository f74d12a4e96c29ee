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
from include.profiling.outcome_file import OutcomeFile, outcome_file_of
from include.profiling.table import Table
from include.profiling.time import NONE, Time, keys_of, time_of
from include.use_cases.schema import ColumnType
from include.use_cases.sections.values import TIMES

_GROUPS = 50
"""At least so many groups: a fifth is held out, and a standard error needs ten. Our choice."""
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
    outcomes : OutcomeFile, optional
        Where the label lands in a file of its own.
    """

    name: str
    table: Table
    outcome: Outcome
    key: Key
    time: Time
    roles: list[Role]
    outcomes: OutcomeFile | None = None

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
        return self._format(self.table, {*self.columns, self.outcome.column})

    @cached_property
    def label_columns(self) -> dict[str, ColumnType]:
        """What `labels.columns` says; key columns have the types they have among the rows."""
        return {self.outcome.column: self.outcome.kind}

    @cached_property
    def label_format(self) -> dict[str, Any]:
        """The section `labels.format`, of a file of outcomes."""
        if self.outcomes is None:
            return {}
        return self._format(self.outcomes.table, {*self.key.columns, self.outcome.column})

    @cached_property
    def mature_after_days(self) -> int:
        """How long after the end of a partition its outcomes are known; 0 if with its rows."""
        if self.outcomes is None:
            return 0
        return self.outcomes.mature_after_days(self.table, self.time)

    @cached_property
    def coverage(self) -> float:
        """Share of rows that have a label, without partitions whose outcomes are still to come."""
        labels, late = self.outcome.labels, 0
        if self.outcomes is not None:
            late = self.outcomes.incomplete(self.table, self.time)
        if late and self.time.column:
            keys = keys_of(self.table.frame[self.time.column], self.time.grain)
            labels = labels[keys < sorted(keys.unique())[-late]]
        return float(labels.notna().mean())

    def _format(self, table: Table, read: set[str]) -> dict[str, Any]:
        found = dict(table.format)
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
    def label_landing(self) -> str:
        """Where files of outcomes land."""
        assert self.outcomes is not None  # noqa: S101  for mypy: asked only then
        return f"{self.name}_outcomes/{{partition}}/*{self.outcomes.table.raw.kind}"

    @property
    def cut(self) -> bool:
        """Whether the file is cut into one for each partition."""
        return self.time.partitions > 1

    @property
    def split(self) -> tuple[str, str]:
        """What `train.split.by` says, and why: rows that are alike must be on the same side."""
        if self.time.column is not None:
            return self.time.column, "models are judged on later rows"
        for name in self.key.columns if len(self.key.columns) > 1 else ():
            if self.table.kind(name) == "string" and self.table.distinct(name) >= _GROUPS:
                return f"group:{name}", f"rows with the same {name!r} are alike"
        return "random", "rows are independent of each other"

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


def plan_of(
    name: str,
    table: Table,
    answers: Answers,
    ask: Ask | None = None,
    outcomes: Table | None = None,
) -> Plan:
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
    outcomes : Table, optional
        All outcomes, where they land in a file of their own.

    Raises
    ------
    DataContractError
        The table, or an answer, cannot be used: why, and what to do.
    """
    file = None if outcomes is None else _outcome_file(table, outcomes, answers, ask)
    if file is not None:
        table = file.joined(table)
    label = file.label if file else _label(table, answers, ask)
    outcome = outcome_of(table, label)
    key = file.key if file else _key(table, label, answers, ask)
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
    return Plan(name, table, outcome, key, time, roles, file)


def _label(table: Table, answers: Answers, ask: Ask | None) -> str:
    if answers.label is not None:
        return answers.label
    label, why = label_of(table)
    return ask("LABEL", label, why) if ask else label


def _key(table: Table, label: str, answers: Answers, ask: Ask | None) -> Key:
    key = key_of(table, answers.key, label)
    if answers.key is not None or ask is None:
        return key
    default = ROW_NUMBER if key.numbered else ",".join(key.columns)
    said = ask("KEY", default, key.why)
    return key if said == default else key_of(table, said, label)


def _outcome_file(table: Table, outcomes: Table, answers: Answers, ask: Ask | None) -> OutcomeFile:
    file = outcome_file_of(table, outcomes, answers.label, answers.key)
    if ask is None:
        return file
    label, key = answers.label, answers.key
    if label is None and (said := ask("LABEL", file.label, file.why_label)) != file.label:
        label = said
        file = outcome_file_of(table, outcomes, label, key)
    default = ",".join(file.key.columns)
    if key is None and (said := ask("KEY", default, file.key.why)) != default:
        file = outcome_file_of(table, outcomes, file.label, said)
    return file


def _has_times(table: Table, label: str) -> bool:
    return any(table.kind(name) in TIMES for name in table.frame.columns if name != label)
