"""Great Expectations on one batch: which rows fail and why, and what condemns the batch."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.exceptions import GreatExpectationsError
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.registry import get_expectation_impl

from include.errors import ConfigError
from include.use_cases.expectations import Expectation, Suite
from include.validate_clean.local_date import ExpectLocalDateToMatchTime

# Great Expectations finds an expectation of one's own once its class is defined.
OWN = (ExpectLocalDateToMatchTime,)

_ROW_LEVEL = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)

# They report every step at INFO, the second whatever the first is set to; this phase logs the
# findings itself.
_TALKATIVE = ("great_expectations", "great_expectations.data_context.types.base")


@dataclass(frozen=True)
class Checked:
    """What a suite found.

    Attributes
    ----------
    rows : dict of int to list of str
        Position of each row to quarantine, and the expectations it fails.
    refusals : list of str
        Each failed expectation that refuses the batch, with what was observed.
    results : list of (Expectation, ExpectationValidationResult)
        Each expectation, in the suite's order, with Great Expectations' answer.
    """

    rows: dict[int, list[str]]
    refusals: list[str]
    results: list[tuple[Expectation, Any]]


def check(frame: pd.DataFrame, suite: Suite, origin: str) -> Checked:
    """Validate a frame.

    Parameters
    ----------
    frame : DataFrame
        With a RangeIndex.
    suite : Suite
        The expectations.
    origin : str
        The suite's file, for messages.

    Raises
    ------
    ConfigError
        An expectation does not exist, has wrong arguments, cannot quarantine, or cannot be
        computed.
    """
    made = [_made(expectation, origin) for expectation in suite.expectations]
    rows: dict[int, list[str]] = defaultdict(list)
    refusals: list[str] = []
    results = list(zip(suite.expectations, _results(frame, made), strict=True))
    for expectation, result in results:
        if (raised := _raised(result.exception_info)) is not None:
            raise ConfigError(
                f"{origin}: expectation {expectation} cannot be computed on these columns: "
                f"{raised}. "
                "Correct its arguments, or the column it names."
            )
        if result.success:
            continue
        if expectation.on_failure == "refuse":
            refusals.append(f"{expectation} {_observed(expectation, result.result)}")
        else:
            for position in result.result["unexpected_index_list"]:
                rows[int(position)].append(str(expectation))
    return Checked(dict(rows), refusals, results)


def _made(expectation: Expectation, origin: str) -> Any:
    """Make Great Expectations' own object of an expectation."""
    try:
        kind = get_expectation_impl(expectation.expectation)
        made = kind(**expectation.arguments)
    except (GreatExpectationsError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{origin}: {expectation} is not an expectation with these arguments: {error}. "
            "See https://greatexpectations.io/expectations for names and arguments."
        ) from error
    if expectation.on_failure == "quarantine" and not issubclass(kind, _ROW_LEVEL):
        raise ConfigError(
            f"{origin}: {expectation} looks at the table as a whole and names no rows to "
            "quarantine. "
            "Use 'on_failure: refuse' with it."
        )
    return made


def _results(frame: pd.DataFrame, made: list[Any]) -> Iterator[Any]:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of this call alone: a shared context on disk breaks under parallel tasks.
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset("batch")
    batch = asset.add_batch_definition_whole_dataframe("batch").get_batch({"dataframe": frame})
    for number, expectation in enumerate(made):
        expectation.meta = {"number": number}
    report = batch.validate(
        gx.ExpectationSuite("batch", expectations=made),
        result_format={
            "result_format": "COMPLETE",
            "include_unexpected_rows": False,
            "return_unexpected_index_query": False,
        },
    )
    # It answers in an order of its own.
    return iter(sorted(report.results, key=lambda result: result.expectation_config.meta["number"]))


def _raised(info: dict[str, Any]) -> str | None:
    """Find the message of an exception: the expectation has one, or each metric it needs."""
    for found in (info, *(part for part in info.values() if isinstance(part, dict))):
        if found.get("raised_exception"):
            return str(found["exception_message"])
    return None


def _observed(expectation: Expectation, result: dict[str, Any]) -> str:
    arguments = {
        k: v for k, v in expectation.arguments.items() if k not in ("column", "column_list")
    }
    rule = f"must hold with {arguments}" if arguments else "must hold"
    if "observed_value" in result:
        return f"{rule}, got {result['observed_value']}"
    examples = result.get("partial_unexpected_list", [])[:3]
    counts = f"{result.get('unexpected_count')} of {result.get('element_count')} rows"
    return f"{rule}, but fails in {counts}, such as {examples}"
