"""Labels: the contract behind every strategy, and what is done with labels whoever gives them.

- `contract`: what a label is, and the protocol `LabelSource` behind all strategies.
- `history`: the append-only table `label_history`; labels as they were known at a time.
- `publishing`: the table `labels`, resolved from the history by declared precedence.
- `label_model`: one label from the votes of several rules: Dawid and Skene's model, the majority.
- `answer_model`: one label from the answers of several people: the same with one accuracy for each.
- `people`: the strategy `people`: the answers of several annotators, as one label for each item.
- `agreement`: how far annotators agree, and how good each of them is.
- `annotators`: what the report on labels says of people.
- `box_agreement`: boxes of several annotators: whether they agree, and one set made of them.
- `drawings`: the boxes that count; `coco`: these as a data set that others read.
- `asking`: the protocol between a round and whoever asks: items, rounds, answers, boxes.
- `policies`: which rows a round takes. `rounds`, `answers`, `boxes`: the tables of a round, written
  by `appending`.
- `verdicts`: which answers count; `ends`: when a round ended; `seen`: the row that people saw.
- `card`: an item as Airflow shows it; `interface`: as Label Studio does.
- `annotations`: what Label Studio gives back, read as answers.
- `quality`: class balance, candidates for label errors, features that give the label away.
"""
