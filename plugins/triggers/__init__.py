"""Triggers: what waits in the triggerer without holding a worker slot."""
