"""`python -m scripts.images`: build Flywheel's image, and say which others stand in."""

from __future__ import annotations

import sys

from include.errors import FlywheelError
from scripts.images import flywheel, stand_ins


def main() -> None:
    """Build it; print what cluster.env must say where images stand in for others."""
    found = stand_ins.images(say=lambda line: print(line, flush=True))
    flywheel.build(found[stand_ins.PYTHON])
    print(f"{flywheel.IMAGE}: {flywheel.size_bytes() / 1e6:.0f} MB")
    others = {name: image for name, image in found.items() if image != stand_ins.named()[name]}
    others.pop(stand_ins.PYTHON, None)
    if others:
        print("These lines in cluster.env name the images that stand in for others:")
        for name, image in others.items():
            print(f"{name}={image}")


if __name__ == "__main__":
    try:
        main()
    except FlywheelError as error:
        sys.exit(str(error))
