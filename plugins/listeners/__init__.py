"""Listeners of Airflow's components."""
