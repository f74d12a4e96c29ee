"""Reports on a partition that people open from the page, as HTML beside the lake's tables."""

from __future__ import annotations

from include.lake.files import LakeFiles
from include.lake.table import Lake

VALIDATION = "validation"


def reports_of(use_case: str, partition: str) -> str:
    """Return the folder of a partition's reports, below the lake."""
    return f"{use_case}/reports/{partition}"


def write_report(lake: Lake, use_case: str, partition: str, name: str, html: str) -> None:
    """Keep a report; the one before it is replaced.

    Raises
    ------
    ServiceUnavailable
        The store does not answer.
    """
    path = f"{reports_of(use_case, partition)}/{name}.html"
    LakeFiles(lake).write(path, html.encode())


def read_report(lake: Lake, use_case: str, partition: str, name: str) -> bytes:
    """Return a report.

    Raises
    ------
    DataContractError
        There is none.
    ServiceUnavailable
        The store does not answer.
    """
    return LakeFiles(lake).read(f"{reports_of(use_case, partition)}/{name}.html")
