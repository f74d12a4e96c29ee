"""### Annotate

Asks people for labels, one round of questions about one partition: a policy chooses the rows
(`labels.people.choose`), people answer, and what they say becomes labels. In Airflow the questions
stand in *Required Actions*; one that nobody answers within `labels.people.within` is never a label.
To Label Studio (`ask: label_studio`) the items are sent, and a task waits.

**Runs** for each partition of `<use case>.features`; after each round (`<use case>.labels`) until
there is a champion; once for each new champion, on the newest partition. By hand or by REST with a
partition key. **Produces** `<use case>.labels`, one event per round, so that a training is
considered once. Rounds stand in the table `label_rounds`, every answer in `label_answers`.

**On failure**: the log says which service did not answer; clear the task. Clearing `choose_items`
gives the same round, clearing an `ask` asks again while the round is open, clearing
`collect_answers` records nothing twice, clearing `send_items` sends what Label Studio lacks.
**Expected skips**: all rounds have been asked, another round of the partition is open, the champion
has chosen one already, every row has a label; or a round brought no new label.
"""

from airflow.sdk import DAG, BaseOperator, TriggerRule, chain

from include.use_cases.schema import UseCase
from plugins.operators.annotate import (
    AskForLabelOperator,
    ChooseItemsOperator,
    CollectAnswersOperator,
    PublishLabelsOperator,
)
from plugins.operators.label_studio import (
    CollectAnnotationsOperator,
    SendItemsOperator,
    WaitForAnnotationsOperator,
)
from plugins.roles import ANNOTATE
from plugins.wheel import assets_of, dag_arguments, use_cases, when


def ask_in_airflow(use_case: UseCase, chosen: ChooseItemsOperator) -> CollectAnswersOperator:
    """Ask about each chosen item in Airflow; return the task that has the answers."""
    ask = AskForLabelOperator.partial(
        task_id="ask",
        use_case=use_case.name,
        options=[*use_case.labels.answers],
        response_timeout=use_case.labels.people.within,
        map_index_template="{{ task.question['place'] }}",
    ).expand(question=chosen.output)
    collect = CollectAnswersOperator(
        task_id="collect_answers",
        use_case=use_case.name,
        # What was answered counts, also where another question could not be asked. Where none
        # could, this task fails with them, and where there were none it is skipped.
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    )
    chain(ask, collect)
    return collect


def ask_in_label_studio(use_case: UseCase, chosen: ChooseItemsOperator) -> BaseOperator:
    """Ask about the chosen items in Label Studio; return the task that has the answers."""
    common = {
        "use_case": use_case.name,
        "conn_id": use_case.labels.people.connection,
        "number": "{{ ti.xcom_pull('choose_items')[0]['round'] }}",
    }
    send = SendItemsOperator(task_id="send_items", **common)
    wait = WaitForAnnotationsOperator(task_id="wait_for_annotations", **common)
    collect = CollectAnnotationsOperator(task_id="collect_answers", **common)
    chain(chosen, send, wait, collect)
    return collect


ASK = {"airflow": ask_in_airflow, "label_studio": ask_in_label_studio}
"""Where people answer (`labels.people.ask`), and the tasks for it: from the chosen items on, to the
task that has recorded the answers."""


def build_dag(use_case: UseCase) -> DAG:
    """Build the Dag of one use case."""
    assets = assets_of(use_case)
    with DAG(
        **dag_arguments(use_case, ANNOTATE, __doc__),
        schedule=when(use_case, assets.features | assets.champion | assets.labels),
    ) as dag:
        choose = ChooseItemsOperator(
            task_id="choose_items",
            use_case=use_case.name,
            inlets=[assets.features, assets.champion, assets.labels],
        )
        collect = ASK[use_case.labels.people.ask](use_case, choose)
        publish = PublishLabelsOperator(
            task_id="publish_labels", use_case=use_case.name, outlets=[assets.labels]
        )
        chain(collect, publish)
    return dag


for _use_case in use_cases():
    if _use_case.labels is not None and _use_case.labels.people is not None:
        globals()[f"{_use_case.name}__annotate"] = build_dag(_use_case)
