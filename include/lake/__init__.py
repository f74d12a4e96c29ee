"""Versioned Delta tables: where the phases meet."""
