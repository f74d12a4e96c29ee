"""The number of the home's layout: what an earlier version left is recognised, not misread."""

from __future__ import annotations

from include.errors import ConfigError
from scripts.stack.settings import StackSettings

LAYOUT = 4
"""1: until November 2026, without a number. 2: partition versions are digests of content, a
promotion ledger says what serves, MLflow asks for a login. 3: model packages carry the use case's
Python, predictions keep the rows of several models, `raw` names the file of each row, inputs name
their table's id. 4: a promotion names the version that was judged, and what the model knows.

An earlier home is not migrated. The promotions of layout 3 are signed without what layout 4 asks of
them; models of layout 2 do not say which Python they were trained with."""
_FILE = "layout"


def check(settings: StackSettings) -> None:
    """Refuse a home of another layout.

    Raises
    ------
    ConfigError
        With the remedy.
    """
    found = read(settings)
    if found in (None, LAYOUT):
        return
    raise ConfigError(
        f"{settings.home} has layout {found}, and this version of Flywheel needs layout {LAYOUT}. "
        f"Move it away (`mv {settings.home} {settings.home}.old`) and run `make up` again; what "
        f"landed is taken in again from {settings.home}.old/landing when you copy it to the new "
        "home. CHANGELOG.md, Upgrade, says what is new and what is lost."
    )


def read(settings: StackSettings) -> int | None:
    """Return the layout of a home, None for one that was never used."""
    file = settings.home / _FILE
    if file.exists():
        text = file.read_text().strip()
        return int(text) if text.isdecimal() else 0
    used = (settings.airflow_home / "airflow.db").exists() or (settings.home / "lake").exists()
    return 1 if used else None


def write(settings: StackSettings) -> None:
    """Note the layout."""
    (settings.home / _FILE).write_text(f"{LAYOUT}\n")
