"""How long `make demo` takes after installation: three use cases, until one improved itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import memory_at_rest
from benchmarks.figures import Figure
from benchmarks.house import Say
from scripts.stack.settings import REPO, StackSettings
from scripts.stack.stack import Stack

LIMIT_S = 360


def measure(folder: Path, say: Say) -> list[Figure]:
    """Run the demo in a fresh home below `folder`, then let its stack rest; stop it at the end."""
    settings = StackSettings.on_free_ports(folder / "demo")
    stack = Stack(settings, say=say)
    ports = {name: str(port) for name, port in settings.ports.items()}
    environment = {**os.environ, **ports, "FLYWHEEL_HOME": str(settings.home)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "scripts.demo"],
            cwd=REPO,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"The demo failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        seconds = json.loads((settings.home / "demo.json").read_text())["seconds"]
        chapters = ", ".join(f"{name} {s:.0f} s" for name, s in seconds.items() if name != "total")
        figure = Figure(
            "demo_wall_time", seconds["total"], "s", f"its chapters: {chapters}", LIMIT_S
        )
        return [figure, *memory_at_rest.measure(stack, "after the demo, three use cases")]
    finally:
        stack.down()
