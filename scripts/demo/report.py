"""The end of the demo, in words for the terminal and in JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HEADINGS = (
    "use case", "partition", "rows in", "quarantined", "clean", "versions r/c/f", "predictions",
    "drift", "performance", "decision",
)  # fmt: skip


def write(path: Path, found: dict[str, Any]) -> None:
    """Write the facts, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def told(found: dict[str, Any]) -> str:
    """Tell the facts: the table, the models, one prediction, the addresses."""
    return "\n".join(
        [
            "\n5. What happened\n",
            *_table([HEADINGS, *(_row(p, found["metrics"]) for p in found["partitions"])]),
            *_asked(found["partitions"]),
            "\n6. The models, beside a dummy and a linear one (on each model's own holdout)\n",
            *_table(_models(found["models"])),
            *_gate(found["models"]),
            "\n7. One prediction\n",
            f"  $ {found['prediction']['command']}",
            f"  {json.dumps(found['prediction']['answer'])}",
            f"\n8. Look around (it is up; `{found['commands']['down']}` stops it)\n",
            *(f"  {name:<8} {address}" for name, address in found["addresses"].items()),
            f"  Log in to Airflow as {found['login']['user']!r}; "
            f"the password is in {found['login']['password_file']}",
            f"\n  {found['seconds']['total']:.0f} s in all; {found['memory_gib']} GiB of memory; "
            f"the same facts are in {found['file']}.",
        ]
    )


def missing(found: dict[str, Any], lead: str) -> list[str]:
    """List what the demo promises and the facts do not show."""
    partitions = [p for p in found["partitions"] if p["use_case"] == lead]
    models = {name: {m["alias"]: m for m in versions} for name, versions in found["models"].items()}
    champion, previous = models[lead].get("champion"), models[lead].get("previous")
    asked = [d for p in partitions for d in p["decisions"] if d["asks"]]
    checks = {
        "a partition with quarantined rows": any(p["rows_quarantined"] for p in partitions),
        "a drift verdict": any(p["verdict"] in ("stable", "drift", "decay") for p in partitions),
        "a champion for each use case": all(m.get("champion") for m in models.values()),
        "two trainings asked for": len(asked) >= 2,
        "a second promotion by the gate": bool(champion and previous)
        and champion["verdict"] == "promoted",
        "a challenger that the gate rejected": any(
            m["verdict"] == "rejected" for m in found["models"][lead]
        ),
        "a champion that has learned the newest labels": champion is not None
        and champion["refit_of"] is not None,
        "a champion better than the dummy": champion is not None
        and (champion["value"] > champion["dummy"]) == champion["greater_is_better"],
        "an answer of the served model": bool(found["prediction"]["answer"].get("predictions")),
    }
    return [name for name, true in checks.items() if not true]


def _row(p: dict[str, Any], metrics: dict[str, str]) -> tuple[str, ...]:
    versions = "/".join(
        str(p["versions"].get(stage, "-")) for stage in ("raw", "clean", "features")
    )
    performance = p["performance"]
    decision = p["decisions"][-1] if p["decisions"] else None
    asked = [d for d in p["decisions"] if d["asks"]]
    return (
        p["use_case"], p["partition"],
        f"{p['rows_in']:,}", f"{p['rows_quarantined']:,}", f"{p['rows_clean']:,}",
        versions, f"{p['predictions']:,}",
        f"{p['verdict'] or '-'}" + (f" (v{p['model_version']})" if p["model_version"] else ""),
        "-" if performance is None else f"{metrics[p['use_case']]} {performance:.4g}",
        "retrain" if asked else "wait" if decision else "-",
    )  # fmt: skip


def _models(models: dict[str, list[dict[str, Any]]]) -> list[tuple[str, ...]]:
    rows = [
        (
            "use case",
            "version",
            "alias",
            "estimator",
            "holdout",
            "metric",
            "model",
            "linear",
            "dummy",
        )
    ]
    for use_case, versions in models.items():
        rows += [
            (
                use_case, _version(m), m["alias"] or m["verdict"] or "-", m["candidate"],
                m["holdout_partition"],
                m["metric"], f"{m['value']:.4g}", f"{m['linear']:.4g}", f"{m['dummy']:.4g}",
            )
            for m in versions
        ]  # fmt: skip
    return rows


def _version(model: dict[str, Any]) -> str:
    refit_of = model["refit_of"]
    return f"{model['version']} (refit of {refit_of})" if refit_of else str(model["version"])


def _asked(partitions: list[dict[str, Any]]) -> list[str]:
    return ["\n  Trainings that were asked for:"] + [
        f"  - {p['use_case']} as of {p['partition']}: {decision['reasons']}"
        for p in partitions
        for decision in p["decisions"]
        if decision["asks"]
    ]


def _gate(models: dict[str, list[dict[str, Any]]]) -> list[str]:
    return ["\n  The gate said:"] + [
        f"  - {use_case} version {m['version']}: {m['verdict']}: {m['reasons']}"
        for use_case, versions in models.items()
        for m in versions
        if m["verdict"] and not m["refit_of"]  # a refit has the verdict of what was judged
    ]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [lines[0], "  " + "  ".join("-" * w for w in widths), *lines[1:]]
