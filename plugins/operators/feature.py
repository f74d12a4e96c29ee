"""Operator of the phase feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.operators.base import FindPartitionsOperator, PartitionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.feature.build import FeaturesBuilt


class FindUnbuiltOperator(FindPartitionsOperator):
    """Find the clean partitions whose features are older than they or their reference tables are.

    **Idempotent**: reads only. **XCom**: the partition keys. **Retries**: when the lake does not
    answer.
    """

    def unprocessed(self) -> list[str]:
        """List the partitions to build."""
        from include.feature.build import unprocessed_partitions

        return unprocessed_partitions(self.config, self.lake)


class BuildFeaturesOperator(PartitionOperator):
    """Build the features of one clean partition, by the same function that serving uses.

    **Idempotent**: replaces the partition. **XCom**: partition, rows, version. **Retries**: when
    the lake does not answer; a broken data contract fails at once.
    """

    def process(self, context: Context) -> FeaturesBuilt:
        """Build and publish the features."""
        from include.feature.build import build_partition

        return build_partition(self.config, self.partition, self.lake, self.writer(context))
