"""Metrics of Airflow, and what Prometheus and Grafana are told; docs/monitoring.md."""
