"""Signed model packages, and the MLflow registry that keeps them."""
