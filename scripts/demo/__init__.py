"""The demo: flights become a served, monitored model, and the wheel turns again by itself."""
