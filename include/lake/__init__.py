"""Versioned Delta tables: where the phases meet.

Callers need `table` (`Lake`, `LakeTable`, `Writer`, `Input`), and sometimes `frames`, `pins` and
`errors`. From the outside in:

- `table`: publish, clear, append. `reader`: everything that a table can be asked.
- `writing`: checks on the way in. `reading`: rows on the way out, in a fixed order.
- `store`: one commit behind a fence. `log`: open a table, look through its commits. `records`: the
  facts in a commit. `content`: the version of a partition, a digest of its rows.
- `schemas` and `frames`: the types of the lake, and pandas' for them. `evolution`: how columns are
  added, dropped and retyped; `migration` and `retype` convert the stored rows.
- `pins`: read a table again as it was. `compaction`: put small files together.
- `corrections`: which of several rows with one key counts; used by two phases.
- `errors`: errors of the store, and what they mean.
"""
