"""Say what went wrong in a model's own Python, for `/health`."""

from __future__ import annotations

from include.errors import FlywheelError
from include.use_cases.python_package import place_of


def message_of(error: Exception) -> str:
    """Say what an exception is, and in which line of the model's own Python it arose.

    Parameters
    ----------
    error : Exception
        Our own errors are told as they are. Of syntax and import errors the message is told; of any
        other exception the type alone, because its message may quote data.

    Returns
    -------
    str
        Such as ``tiny/features.py, line 3: ModuleNotFoundError (No module named 'nothing'), see the
        log``; without file and line when the error did not arise there.
    """
    if isinstance(error, FlywheelError):
        return str(error)
    said = type(error).__name__
    if isinstance(error, SyntaxError):
        said += f" ({error.msg})"
    elif isinstance(error, ImportError):
        said += f" ({error})"
    place = place_of(error)
    return f"{place}: {said}, see the log" if place else f"{said}, see the log"
