"""Operator of the phase validate and clean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.links import ValidationResultLink
from plugins.measure import send
from plugins.operators.partition import PartitionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.due.wanted import Wanted
    from include.validate_clean.validate import Cleaned


class ValidateCleanOperator(PartitionOperator):
    """Check one raw partition with Great Expectations, quarantine the rows that fail, clean the
    others.

    **Idempotent**: replaces the partition. **XCom**: rows in, quarantined and clean, reasons,
    versions. **Retries**: when the lake does not answer; a refused batch fails at once.
    """

    stage = "clean"
    operator_extra_links = (ValidationResultLink(),)

    def wanted(self, key: str) -> Wanted:
        """Say what the partition would be made from now."""
        from include.due.wanted import wanted_clean

        return wanted_clean(self.config, self.lake, [key])

    def process(self, context: Context) -> Cleaned:
        """Validate, quarantine, clean and publish the partition."""
        from include.validate_clean.validate import validate_and_clean

        done = validate_and_clean(self.config, self.partition, self.lake, self.writer(context))
        share = done.rows_quarantined / done.rows_in
        send(self.use_case, "validate", {"rows": done.rows_in, "quarantined_share": share})
        return done
