"""The kinds of failure Flywheel knows. Operators alone translate them for Airflow.

A message gives the subject, the rule, what was found, where, and the next step.
"""

from __future__ import annotations

# Airflow stores a message in its database, sends it to the browser and writes it to the log: a
# message that repeats a file's contents must not be as large as the file.
MESSAGE_LIMIT = 2000


def bounded(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Shorten a text to at most `limit` characters, and say in it how much was cut.

    The cut is before the last quarter, because the end of a message holds the next step.

    Parameters
    ----------
    text : str
        Any text.
    limit : int
        Characters that the result may have, at least 100.

    Examples
    --------
    >>> bounded("a" * 90 + "z" * 90, limit=100).replace("a" * 48, "a...").replace("z" * 15, "z...")
    'a... [... 117 of 180 characters cut ...] z...'
    """
    if len(text) <= limit:
        return text
    # The counts have at most as many digits as the length: the mark never gets longer than this.
    room = limit - len(f" [... {len(text)} of {len(text)} characters cut ...] ")
    tail = room // 4
    head = room - tail
    mark = f" [... {len(text) - room} of {len(text)} characters cut ...] "
    return text[:head] + mark + text[len(text) - tail :]


class FlywheelError(Exception):
    """Base of every error that Flywheel raises on purpose; its message is `bounded`."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(bounded(item) if isinstance(item, str) else item for item in arguments))


class ConfigError(FlywheelError):
    """A file or a form that a person filled in is wrong: a retry cannot help."""


class SettingsError(ConfigError):
    """An address, a login or a key is wrong: a retry cannot help, and it says nothing of the data.

    So it is never remembered as a refusal of what was being worked on.
    """


class DataContractError(FlywheelError):
    """Data or a model package broke its contract: a retry cannot help."""


class ServiceUnavailable(FlywheelError):  # noqa: N818 - says what happened
    """A service or a store did not answer: a retry may help."""


class FileUnavailable(ServiceUnavailable):
    """One landed file cannot be read, or is still being written: the others may be well."""
