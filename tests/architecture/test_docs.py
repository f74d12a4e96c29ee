"""What the documents lead to exists: files, headings, and targets of the Makefile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)")
COMMAND = re.compile(r"(?:`|^)make ([a-z]+(?:-[a-z]+)*)", re.MULTILINE)

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda file: str(file.relative_to(REPO))
)


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@each_document
def test_a_link_leads_to_a_file_and_a_heading(document):
    for path, anchor in LINK.findall(document.read_text()):
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name}: {path} does not exist"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{document.name}: {path} has no heading #{anchor}"


@each_document
def test_a_command_is_a_target_of_the_makefile(document):
    for target in COMMAND.findall(document.read_text()):
        assert target in TARGETS, f"{document.name}: `make {target}` does not exist"


def test_a_broken_link_would_be_found(tmp_path):
    page = tmp_path / "a.md"
    page.write_text("# A page: of `two` words\n[b](b.md), [here](#a-page-of-two-words)\n")

    assert LINK.findall(page.read_text()) == [("b.md", ""), ("", "a-page-of-two-words")]
    assert anchors(page) == {"a-page-of-two-words"}
    assert COMMAND.findall("`make up`, then\nmake test-cluster X=1") == ["up", "test-cluster"]
