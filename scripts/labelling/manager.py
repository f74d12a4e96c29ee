"""`python -m scripts.labelling.manager`: keeps Label Studio running until SIGTERM."""

from __future__ import annotations

from scripts.labelling.environment import part
from scripts.labelling.place import LabellingPlace
from scripts.stack import manager
from scripts.stack.settings import StackSettings


def main() -> None:
    """Run Label Studio of this environment's stack."""
    settings = StackSettings.from_env()
    place = LabellingPlace.of(settings)
    manager.run(place, [part(settings, place)])


if __name__ == "__main__":
    main()
