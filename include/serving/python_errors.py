"""Say what went wrong in a use case's own Python, for `/health`."""

from __future__ import annotations

import traceback
from pathlib import Path

from include.errors import FlywheelError
from include.use_cases.loader import shown
from include.use_cases.python_package import place_of


def message_of(error: Exception, path: Path) -> str:
    """Say what an exception is and in which line of a file it arose.

    Parameters
    ----------
    error : Exception
        Our own errors are told as they are. Of syntax and import errors the message is told; of any
        other exception the type alone, because its message may quote data.
    path : Path
        The use case's file.

    Returns
    -------
    str
        Such as ``features.py, line 3: ModuleNotFoundError (No module named 'nothing'), see the
        log``; without file and line when the error did not arise there.
    """
    if isinstance(error, FlywheelError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    said = type(error).__name__
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
        said += f" ({error.msg})"
    elif isinstance(error, ImportError):
        said += f" ({error})"
    place = place_of(error) or (f"{shown(path)}, line {lines[-1]}" if lines else "")
    return f"{place}: {said}, see the log" if place else f"{said}, see the log"
