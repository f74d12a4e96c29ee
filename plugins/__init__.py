"""What plugs into Airflow."""
