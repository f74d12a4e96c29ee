"""ASGI middlewares of Airflow's API server."""
