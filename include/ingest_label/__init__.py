"""Phase 1: landed files become raw rows and labels.

- `ingest`: publish rows, labels and references, which `intake` declares; `gathering` puts the rows
  of a partition together, `outcomes` makes labels of them.
- `inventory`: what has landed, from a listing and from `landed`, the ledger of contents.
- `landing`: the landing area, a `folder` or a `bucket`; `listing` and `patterns` say which files
  belong to which partition, `stillness` when they are no longer being written.
- `files` and `cells`: read CSV and Parquet exactly.
- `retract`: take a partition back.
"""
