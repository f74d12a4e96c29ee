"""Hooks: the lake, the registry and the settings as Airflow sees them."""
