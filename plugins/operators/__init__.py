"""Operators, one module a phase."""
