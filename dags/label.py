"""### Label

Where the use case has rules (`labels.rules`), lets them vote on the rows of one clean partition,
weighs the votes, and publishes the labels. Labels that landed take precedence, as
`labels.precedence` says. Then, whoever gave the labels, reports on them: class balance over time,
candidates for label errors, features that alone tell the label.

**Runs** for each partition of `<use case>.features` where there are rules, so that what is
labelled can be learned from, and where labels land in the files of the rows; for labels that arrive
late (`<use case>.labels`), such as outcomes and those of people. By hand or by REST with a
partition key. **Produces** `<use case>.labels`; the votes of each rule stand in
the table `votes`, every version of a label in `label_history`, the report in `label_quality`.

**On failure**: no rule gave a label to any row, or the use case's `labels.py` lacks a function: the
log names it. Correct the rules: that makes the partition due again. A rule that raises on some rows
fails nothing: it abstains there, and the log says so. **Expected skips**: the partition is up to
date, or has the same votes or findings as before.
"""

from airflow.sdk import DAG, TriggerRule, chain

from include.use_cases.schema import UseCase
from plugins.operators.label import LabelByRulesOperator, ReportLabelsOperator
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    labels = use_case.labels
    rules = labels is not None and labels.rules is not None
    # Labels that land in the files of the rows make no event of their own.
    with_rows = rules or (labels is not None and labels.strategy == "column")
    news = assets.features if with_rows else assets.labels
    if with_rows and labels is not None and labels.people is not None:
        news = assets.features | assets.labels
    with DAG(**dag_arguments(use_case, "label", __doc__), schedule=when(use_case, news)) as dag:
        report = ReportLabelsOperator(
            task_id="report_labels",
            use_case=use_case.name,
            inlets=[assets.labels, assets.features],
            # Rules that have nothing new to say do not keep what landed from being reported on.
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        if rules:
            label = LabelByRulesOperator(
                task_id="label_by_rules",
                use_case=use_case.name,
                inlets=[assets.clean],
                outlets=[assets.labels],
            )
            chain(label, report)
    return dag


for _use_case in use_cases():
    if _use_case.labels is not None:
        globals()[f"{_use_case.name}__label"] = build_dag(_use_case)
