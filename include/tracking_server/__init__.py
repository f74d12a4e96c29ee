"""The MLflow server as Flywheel runs it: behind a login, with artifacts in one store only."""
