"""Make a use case of a file: look at a sample, say what was decided and why, write it, land it.

python -m scripts.new --use-case customers --data customers.csv
python -m scripts.new --use-case customers --data customers.csv --label left --key customer

Options (`--label`, `--key`, `--time`) answer its questions beforehand; in a terminal it asks the
rest, at most three. It then checks what it wrote, as `make validate` does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt
from rich.table import Table as Shown

from include.errors import FlywheelError
from include.ingest_label.landing import Landing
from include.lake.table import Lake
from include.profiling.placing import Placed, check_new, place
from include.profiling.plan import Answers, Ask, Plan, plan_of
from include.profiling.raw import read
from include.profiling.table import table_of
from include.settings import Settings
from include.use_cases.loader import get, shown
from scripts.quiet import quiet
from scripts.validate import Check, Line

_SHOWN_FILES = 3
_ALL_CHECKED = 12  # partitions; of more, only the newest, as `make validate` does


def show(plan: Plan, console: Console) -> None:
    """Print what was decided about each column, and why."""
    decisions = Shown("column", "type", "role", "why")
    for row in plan.decisions():
        decisions.add_row(*(escape(cell) for cell in row))
    console.print(decisions)
    table, outcome = plan.table, plan.outcome
    if table.sampled:
        console.print(f"Looked at {len(table.frame):,} of {table.rows:,} rows.")
    if plan.format:
        told = {key: value for key, value in plan.format.items() if key != "columns"}
        told |= plan.format.get("columns", {})
        console.print(f"Cells: {escape(', '.join(f'{k}: {v}' for k, v in told.items()))}")
    console.print(f"{outcome.task}, judged by {outcome.metric}; {plan.time.why}", markup=False)


def report(placed: Placed, plan: Plan, console: Console) -> bool:
    """Print what was written and landed, and what a check of it finds."""
    for name in ("use_case.yaml", "columns.yaml", "expectations.yaml"):
        console.print(f"wrote {shown(placed.folder / name)}", markup=False, soft_wrap=True)
    added = f", with a column {plan.key.columns[0]} that counts the rows"
    changed = added if plan.key.numbered else "" if plan.cut else " unchanged"
    cut = f" as {len(placed.landed)} files, one for each {plan.time.grain}" if plan.cut else ""
    console.print(f"landed{cut}{changed}:", markup=False)
    for path in placed.landed[:_SHOWN_FILES]:
        console.print(f"  {path}", markup=False, soft_wrap=True)
    if len(placed.landed) > _SHOWN_FILES:
        console.print(f"  and {len(placed.landed) - _SHOWN_FILES} more")
    if plan.outcomes is not None:
        told = f"landed {len(placed.outcomes)} files of outcomes in the partitions of their rows"
        if placed.rowless:
            told += f"; {placed.rowless:,} outcomes belong to no row, and were left out"
        console.print(told, markup=False)
    lines = _checked(plan)
    newest = placed.landed[-1].parent.name
    labels = f"labels of {placed.outcomes[-1].parent.name if placed.outcomes else newest}"
    for line in lines:
        if not line.fine or line.what == labels or line.what.endswith(newest):
            mark = "ok  " if line.fine else "FAIL"
            console.print(f"{mark} {line.what}: {line.found}", markup=False, soft_wrap=True)
    fine = all(line.fine for line in lines)
    if fine and 1 < len(placed.landed) <= _ALL_CHECKED:
        console.print(f"ok   the {len(placed.landed) - 1} {plan.time.grain}s before pass, too")
    return fine


def _checked(plan: Plan) -> list[Line]:
    every = plan.time.partitions <= _ALL_CHECKED
    settings = Settings.from_env()
    with tempfile.TemporaryDirectory(prefix="flywheel-new-") as folder:
        landing = Landing(settings.landing_uri, settings.storage_options())
        lake = Lake(str(Path(folder) / "lake"))
        return list(Check(get(plan.name), landing, lake, every).lines())


def asker(console: Console) -> Ask:
    """Return a function that asks in this terminal."""

    def ask(variable: str, default: str, why: str) -> str:
        console.print(f"{variable}: {default} ({why})", markup=False)
        return Prompt.ask(f"  {_QUESTIONS[variable]}", console=console, default=default)

    return ask


_QUESTIONS = {
    "LABEL": "Which column is to be predicted?",
    "KEY": "Which columns identify a row (separated by commas)?",
    "TIME": "Which column says when a row was ('none': a snapshot)?",
}


def main(arguments: list[str] | None = None) -> int:
    """Make a use case; exit code 1 with a message when that fails, or when its check does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--use-case", required=True, help="name: lower-case letters, digits, '_'")
    parser.add_argument("--data", required=True, type=Path, help="CSV, TSV, JSON lines or Parquet")
    parser.add_argument("--outcomes", type=Path, help="the label's file, if it is another one")
    parser.add_argument("--label", help="the column to predict")
    parser.add_argument("--key", help="columns that identify a row, as a,b; or row_number")
    parser.add_argument("--time", help="the column that says when a row was; or none")
    options = parser.parse_args(arguments)
    console = Console()
    settings = Settings.from_env()
    try:
        with quiet():
            check_new(options.use_case, settings.use_cases, settings.landing_uri)
            path = options.data.expanduser()
            table = table_of(path, read(path))
            outcomes = None
            if options.outcomes is not None:
                other = options.outcomes.expanduser()
                outcomes = table_of(other, read(other, sample=False))
            answers = Answers(options.label, options.key, options.time)
            ask = asker(console) if sys.stdin.isatty() and sys.stdout.isatty() else None
            plan = plan_of(options.use_case, table, answers, ask, outcomes)
            show(plan, console)
            today = datetime.now(UTC).date()
            placed = place(plan, settings.use_cases, settings.landing_uri, today)
            fine = report(placed, plan, console)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    name = options.use_case
    if not fine:
        print(f"Correct what failed, then: make validate USE_CASE={name}")
        return 1
    print(f"Next: review {shown(placed.folder)}; then `make up`, `make experiment USE_CASE={name}`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
