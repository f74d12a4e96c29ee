"""Phase 6: what drifts, and what decays."""
