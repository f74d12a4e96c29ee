"""What Flywheel adds to Airflow's pages. Built in the API server only."""
