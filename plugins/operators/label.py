"""Operators of the phase label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

from plugins.links import LabelCountsLink, LabelsReportLink
from plugins.operators.partition import PartitionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.due.wanted import Wanted
    from include.label.report import LabelsReported
    from include.label.rule_labels import RulesApplied


class LabelByRulesOperator(PartitionOperator):
    """Let the rules of the use case label the rows of one clean partition.

    A rule that raises on a row abstains there: how often, and the first error, stand in the XCom
    and in the log. **Idempotent**: replaces the partition; the history of labels takes what is new
    only. **XCom**: rows, labels, abstentions, class shares, and what each rule did. **Retries**:
    when the lake does not answer.
    """

    stage = "votes"
    operator_extra_links = (LabelCountsLink(),)

    def wanted(self, key: str) -> Wanted:
        """Say what the partition would be made from now."""
        from include.due.wanted import wanted_votes

        return wanted_votes(self.config, self.lake, [key])

    def process(self, context: Context) -> RulesApplied:
        """Vote, weigh, publish."""
        from include.label.rule_labels import label_partition

        done = label_partition(self.config, self.partition, self.lake, self.writer(context))
        for one in done.functions:
            if one.raised:
                self.log.warning("%s: %d rows: %s", one.name, one.raised, one.first_error)
            elif one.coverage == 0:
                self.log.warning("%s abstains on every row of %s", one.name, self.partition)
        return done


class ReportLabelsOperator(PartitionOperator):
    """Report on the labels of one partition, whoever gave them, into the table `label_quality`.

    Class balance over time, candidates for label errors, features that alone tell the label; where
    people label, whether they agree and how good they are: the log warns where they do not, or are
    not. **Idempotent**: replaces the partition's report. **XCom**: counts, shares of classes, names
    of features and annotators, warnings. **Retries**: when the lake does not answer.
    """

    stage = "label_quality"
    operator_extra_links = (LabelsReportLink(),)

    def wanted(self, key: str) -> Wanted:
        """Say what the report would be made from now."""
        from include.due.wanted import wanted_label_quality

        return wanted_label_quality(self.config, self.lake, [key])

    def check_ready(self, key: str, wanted: Wanted) -> None:
        """Wait for the features of the partition."""
        from include.due.wanted import ABSENT

        if ABSENT in wanted[key].values():
            raise AirflowSkipException(
                f"The labels of {key} are reported on when its features are there."
            )

    def process(self, context: Context) -> LabelsReported:
        """Look at the labels."""
        from include.label.report import report_labels

        done = report_labels(self.config, self.partition, self.lake, self.writer(context))
        self.reported = done.partition
        for warning in done.warnings:
            self.log.warning("%s: %s", self.partition, warning)
        return done
