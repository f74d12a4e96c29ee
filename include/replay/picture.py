"""The picture of a replay: the metric of what served, partition by partition."""

from __future__ import annotations

from pathlib import Path

from include.replay.report import ORACLE, Report

_STYLES = ("-", "--", ":")


def draw(report: Report, path: Path) -> Path:
    """Draw a line for each policy and write the picture; its ending, such as .svg, is its format.

    One colour for each policy and one kind of line for each gate; the oracle is black.

    Parameters
    ----------
    report : Report
        What to draw.
    path : Path
        Where to; its folder is made.
    """
    import matplotlib as mpl

    mpl.use("Agg")  # no window, also where there is a screen
    # Text stays text, and names within the file are the same each time.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": report.use_case})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    policies = list(dict.fromkeys(line.policy for line in report.lines if line.policy != ORACLE))
    gates = list(dict.fromkeys(line.gate for line in report.lines if line.policy != ORACLE))
    for line in report.lines:
        oracle = line.policy == ORACLE
        axes.plot(
            report.partitions,
            [line.by_partition[key] for key in report.partitions],
            color="black" if oracle else f"C{policies.index(line.policy)}",
            linestyle="-" if oracle else _STYLES[gates.index(line.gate) % len(_STYLES)],
            linewidth=1 if oracle else 1.8,
            marker="o",
            markersize=3,
            label=f"{line.policy}{', ' + line.gate if line.gate else ''}: {line.mean:.4f}",
        )
    axes.set_ylabel(f"{report.metric} of what served")
    axes.set_title(report.use_case, fontsize=10)
    axes.tick_params(axis="x", rotation=45)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return path
