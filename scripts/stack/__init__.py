"""The embedded stack: Airflow, MLflow and serving on one machine, on loopback only."""
