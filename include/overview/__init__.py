"""What is going on: each use case's state, read back from the lake and the promotion ledger."""
