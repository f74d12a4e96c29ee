"""Say what went wrong in a use case's own Python, for `/health`."""

from __future__ import annotations

import traceback
from pathlib import PurePosixPath

from include.errors import FlywheelError


def message_of(error: Exception, use_case: str) -> str:
    """Say what an exception is, and in which line of the model's own Python it arose.

    Parameters
    ----------
    error : Exception
        Our own errors are told as they are. Of syntax and import errors the message is told; of any
        other exception the type alone, because its message may quote data.
    use_case : str
        Its name. The files in a package are shown as `tiny/features.py`: see
        `include.use_cases.python_package`.

    Returns
    -------
    str
        Such as ``tiny/features.py, line 3: ModuleNotFoundError (No module named 'nothing'), see the
        log``; without file and line when the error did not arise there.
    """
    if isinstance(error, FlywheelError):
        return str(error)
    said = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    places = [(frame.filename, frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
        said += f" ({error.msg})"
    elif isinstance(error, ImportError):
        said += f" ({error})"
    own = [(file, line) for file, line in places if _is_own(file, use_case)]
    where = f"{own[-1][0]}, line {own[-1][1]}: " if own else ""
    return f"{where}{said}, see the log"


def _is_own(file: str, use_case: str) -> bool:
    return PurePosixPath(file).parent == PurePosixPath(use_case)
