"""The expressions of the dashboards and of the alerts."""

from __future__ import annotations

import json
import re

from ruamel.yaml import YAML

from scripts.stack.settings import REPO

MONITORING = REPO / "scripts" / "monitoring"
NAME = re.compile(r"\b(?:airflow|flywheel)_\w+|\bup\b")
"""A metric in an expression."""


def expressions() -> dict[str, str]:
    """Return each expression of the dashboards and alerts, by where it stands."""
    found = {}
    for file in (MONITORING / "grafana" / "dashboards").glob("*.json"):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            for target in panel["targets"]:
                found[f"{file.stem}: {panel['title']} {target['refId']}"] = target["expr"]
        for variable in board["templating"]["list"]:
            query = variable["query"]["query"]
            found[f"{file.stem}: ${variable['name']}"] = re.sub(
                r"label_values\((.*),.*", r"\1", query
            )
    for group in YAML(typ="safe").load(MONITORING / "alerts.yml")["groups"]:
        for rule in group["rules"]:
            found[f"alert {rule['alert']}"] = rule["expr"]
    return found
