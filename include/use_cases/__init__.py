"""Use cases: a folder of configuration for each prediction problem, and what checks it."""
