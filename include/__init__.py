"""Flywheel's library: the work of every phase as plain Python, without Airflow."""
