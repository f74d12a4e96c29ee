"""Operator of the phase feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

from plugins.operators.partition import PartitionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.due.wanted import Wanted
    from include.feature.build import FeaturesBuilt


class BuildFeaturesOperator(PartitionOperator):
    """Build the features of one clean partition, by the same function that serving uses.

    **Idempotent**: replaces the partition. **XCom**: partition, rows, version. **Retries**: when
    the lake does not answer; a broken data contract fails at once.
    """

    stage = "features"

    def wanted(self, key: str) -> Wanted:
        """Say what the partition would be made from now."""
        from include.due.wanted import wanted_features

        return wanted_features(self.config, self.lake, [key])

    def check_ready(self, key: str, wanted: Wanted) -> None:
        """Wait for the reference tables of this partition."""
        from include.due.wanted import ABSENT

        if absent := sorted(source for source, of in wanted[key].items() if of == ABSENT):
            raise AirflowSkipException(
                f"Features of {key} wait for {', '.join(absent)}, which has not been ingested for "
                "it. Its landing starts this again."
            )

    def process(self, context: Context) -> FeaturesBuilt:
        """Build and publish the features."""
        from include.feature.build import build_partition

        return build_partition(self.config, self.partition, self.lake, self.writer(context))
