"""What each phase still has to do, found from what its results were made from.

- `stages`: each table declared once: phase, sources, code version.
- `definitions`: the digest of what a result depends on apart from its input; `recorded` keeps the
  parts of earlier definitions, so that a change can be named.
- `wanted`: what each partition would be made from now. `state`: compared with what it was made
  from: due, out of date, up to date or refused.
- `mixed`: whether one training rests on one definition. `remedy`: how to rebuild, in a sentence.
"""
