"""The phase label: rules label the rows of a clean partition.

- `functions`: the votes of the labelling functions, in YAML or in the use case's `labels.py`.
- `predicates`: a condition of the YAML, applied to rows.
- `summary`: coverage, overlap, conflict and errors of each function.
- `rule_labels`: votes become labels, in the table `votes`, the history, and the table `labels`.
- `report`: what is known of a partition's labels, as a page and a table.
"""
