"""Phase 3: clean rows become features."""
