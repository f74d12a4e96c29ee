"""The built page is that of its sources; nothing is built here, so no Node is needed."""

from __future__ import annotations

import hashlib

from plugins.pages.app import STATIC
from scripts.stack.settings import REPO

WEB = REPO / "web"


def digest() -> str:
    """Make the digest of web/digest.ts."""
    sources = ["package-lock.json", "tsconfig.json", "vite.config.ts"]
    sources += sorted(
        one.relative_to(WEB).as_posix() for one in (WEB / "src").rglob("*") if one.is_file()
    )
    made = hashlib.sha256()
    for path in sources:
        made.update(f"{path}\n".encode())
        made.update((WEB / path).read_bytes())
    return made.hexdigest()


def test_the_built_page_is_current() -> None:
    (built,) = STATIC.iterdir()
    assert built.name == "flywheel.js"
    head = built.read_text(encoding="utf-8")[:300]
    assert digest() in head, "web/ has changed since: run `make page` and commit what it makes"
