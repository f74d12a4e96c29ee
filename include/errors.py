"""The three kinds of failure Flywheel knows. Operators alone translate them for Airflow.

A message gives the subject, the rule, what was found, where, and the next step.
"""

from __future__ import annotations


class FlywheelError(Exception):
    """Base of every error that Flywheel raises on purpose."""


class ConfigError(FlywheelError):
    """A file or a form that a person filled in is wrong: a retry cannot help."""


class DataContractError(FlywheelError):
    """Data or a model package broke its contract: a retry cannot help."""


class ServiceUnavailable(FlywheelError):  # noqa: N818 - says what happened
    """A service or a store did not answer: a retry may help."""
