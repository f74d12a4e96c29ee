"""The cluster: the same parts with Postgres, Redis, Celery workers and an S3 store.

`docker-compose.yaml` runs it in containers; `make cluster-up` runs it on one machine as plain
processes. Both read one file, `cluster.env`; `environment.py` gives each part its variables.
"""
