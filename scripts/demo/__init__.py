"""The demo: flights become a served, monitored model, which is retrained when it drifts."""
